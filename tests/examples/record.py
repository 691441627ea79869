"""Records the sessions that the READMEs show, where what is printed has changed: `python -m tests.examples.record`.

`python -m tests.examples.record year` plays the year of bikes instead, which takes minutes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.examples.project import REPOSITORY, ExampleProject
from tests.examples.session import Session
from tests.sessions import Step, sessions, with_session

PLAYED = "/data/bikes"
"""What the page about the year of bikes calls the folder that it is played in."""

_YEAR_SECONDS = 3600.0


def record() -> None:
    """Runs each example in a folder of its own, and writes what the commands print into the READMEs."""
    for name in ("taxi", "bikes", "penguins"):
        with tempfile.TemporaryDirectory() as folder:
            session = Session(ExampleProject(name, Path(folder)))
            _record_example(session)
            if name == "taxi":
                _record_readme(session)


def _record_example(session: Session) -> None:
    file = REPOSITORY / "examples" / session.project.name / "README.md"
    text = with_session(file.read_text(encoding="utf-8"), "run", [Step(_run(session), session.first.out)])
    file.write_text(text, encoding="utf-8")
    for name, steps in sessions(file).items():
        if name != "run":
            text = with_session(text, name, [Step(step.command, session.shown[step.command].out) for step in steps])
    file.write_text(text, encoding="utf-8")


def _record_readme(session: Session) -> None:
    file = REPOSITORY / "README.md"
    text = with_session(file.read_text(encoding="utf-8"), "run", [Step(_run(session), session.first.out)])
    text = with_session(text, "again", [Step(_run(session), session.again.out)])
    text = with_session(text, "plan", [Step("cauce plan examples/taxi", session.changed.plan.out)])
    text = with_session(text, "help", [Step("cauce --help", session.project.cauce("--help").out)])
    file.write_text(text, encoding="utf-8")


def record_year() -> None:
    """Plays the year of bikes, and writes what the commands print into its page."""
    file = REPOSITORY / "examples/bikes/year.md"
    text = file.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        project, played = ExampleProject("bikes", Path(folder) / "project"), str(Path(folder).resolve() / "bikes")
        shutil.copyfile(REPOSITORY / "examples/cut_spans.py", project.folder / "examples/cut_spans.py")
        for name, steps in sessions(file).items():
            said = [
                project.shell(step.command.replace(PLAYED, played), seconds=_YEAR_SECONDS, CAUCE_ROOT=f"{played}/cauce_root")
                for step in steps
            ]
            shown = [Step(step.command, one.out.replace(played, PLAYED)) for step, one in zip(steps, said, strict=True)]
            text = with_session(text, name, shown)
    file.write_text(text, encoding="utf-8")


def _run(session: Session) -> str:
    return f"cauce run examples/{session.project.name}"


if __name__ == "__main__":
    record_year() if sys.argv[1:] == ["year"] else record()
