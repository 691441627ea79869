"""What the terminal shows of a training: the watch in `artifacts show`, and `cauce tensorboard`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.artifacts import ModelRun
from pipeline.component import Component, Output
from tests.cli import cauce
from tests.fakes import Source
from tests.project import Project

RULES = [
    {"rule": "not_finite", "action": "stop", "threshold": None, "state": "quiet", "reason": ""},
    {"rule": "dead_relus", "action": "warn", "threshold": 0.9, "state": "fired", "reason": ""},
    {"rule": "slow_input", "action": "warn", "threshold": 0.5, "state": "not looked", "reason": "training was too short to tell"},
]
FINDING = {
    "rule": "dead_relus", "action": "warn", "step": 40, "last_step": 1200, "times": 3, "layer": "hidden", "value": 0.95, "threshold": 0.9,
    "text": "95% of the ReLU units of layer 'hidden' are 0 for all rows looked at, at step 40.", "advice": "Lower the learning rate.",
}  # fmt: skip


class Training(Component):
    """Leaves what a Trainer leaves of its training."""

    isolated = False

    def execute(self, context, model_run: Output[ModelRun], *, number: int = 0) -> None:  # type: ignore[no-untyped-def]
        logs = model_run.path / "logs" / "train"
        logs.mkdir(parents=True)
        (logs / "events").write_text(str(number))
        model_run.write_summary(
            {
                "way": "build_model",
                "seed": 0,
                "steps": 1200,
                "ended": "all steps are done",
                "resumed_at": [400],
                "devices": ["CPU"],
                "rows_per_second": 1234.5,
                "waiting": 0.25,
                "history": {"loss": [0.5]},
                "watch": {"looks": 4, "seconds": 0.2, "rules": RULES, "findings": [FINDING]},
            }
        )
        context.decide("trained with warnings", [f"dead_relus: {FINDING['text']}"])


def test_findings_of_the_watch_are_shown_with_advice_and_what_was_not_looked_at(project: Project) -> None:
    project.run(Training())
    shown = cauce("artifacts", "show", "latest:ModelRun", root=project.root).out
    assert (
        "dead_relus: 95% of the ReLU units of layer 'hidden' are 0 for all rows looked at, at step 40. (seen 3 times, last at step 1,200)"
        in shown
    )
    assert "  Lower the learning rate." in shown
    assert "watched, and quiet: not_finite" in shown
    assert "not looked: slow_input: training was too short to tell" in shown
    assert "went on at       step 400" in shown
    assert "waited for data  25 %" in shown or "25.0 %" in shown


def fake_tensorboard(folder: Path, monkeypatch: pytest.MonkeyPatch, *, status: int = 0) -> Path:
    """A package `tensorboard` that writes down its arguments and the files in its folder."""
    package = folder / "packages" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(
        "import os, sys\n"
        "folder = sys.argv[sys.argv.index('--logdir') + 1]\n"
        "walk = os.walk(folder, followlinks=True)\n"
        "found = [os.path.relpath(os.path.join(place, name), folder) for place, _, names in walk for name in names]\n"
        f"open({str(folder / 'said')!r}, 'w').write(' '.join(sorted(found) + sys.argv[3:]))\n"
        f"sys.exit({status})\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}:{':'.join(sys.path)}")
    return folder / "said"


def test_tensorboard_opens_the_logs_of_runs_side_by_side(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    said = fake_tensorboard(project.folder, monkeypatch)
    first, second = (project.run(Training(number=number)).result.run for number in (1, 2))
    project.run(Source())
    assert cauce("tensorboard", first, second, "--port", "6007", root=project.root).code == 0
    one, other = sorted((first, second))  # two runs of one second have names in any order
    assert said.read_text() == f"{one}/Training/train/events {other}/Training/train/events --port 6007 --host 127.0.0.1"
    assert cauce("tensorboard", root=project.root).code == 0
    (latest,) = cauce("tensorboard", "--json", root=project.root).json("tensorboard")
    assert (latest["run"], latest["node"], Path(latest["path"]).name) == (second, "Training", "logs")
    assert said.read_text().startswith(f"{second}/Training/train/events --port 6006")


def test_tensorboard_says_what_is_missing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tensorboard(project.folder, monkeypatch, status=1)
    run = project.run(Source()).result.run
    assert "No run has trained a model yet" in cauce("tensorboard", root=project.root).err
    refused = cauce("tensorboard", run, root=project.root)
    assert refused.code == 2
    assert f"Run {run} has no TensorBoard logs" in refused.err
    project.run(Training())
    failed = cauce("tensorboard", root=project.root)
    assert failed.code == 1
    assert "Is the port in use?" in failed.err


def test_tensorboard_that_is_not_installed_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    refused = cauce("tensorboard", root=project.root)
    assert refused.code == 2
    assert "TensorBoard is not installed here.\npip install tensorboard" in refused.err.replace("\n  ", "\n")
