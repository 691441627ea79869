"""Records the sessions that the READMEs show, where what is printed has changed: `python -m tests.examples.record [EXAMPLE...]`.

`python -m tests.examples.record year` plays the year of bikes instead, which takes minutes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.examples.project import REPOSITORY, ExampleProject
from tests.examples.session import QUESTIONS, Session
from tests.sessions import Step, sessions, with_session

EXAMPLES = ("taxi", "bikes", "penguins", "signs", "spam", "air_quality", "spoken_digits")

PLAYED = "/data/bikes"
"""What the page about the year of bikes calls the folder that it is played in."""

_YEAR_SECONDS = 3600.0


def record(names: Sequence[str]) -> None:
    """Runs examples, each in a folder of its own, and writes what the commands print into the READMEs."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            session = Session(ExampleProject(name, Path(folder)))
            _record_example(session)
            if name == "taxi":
                _record_readme(session)
                _record_questions(session)


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


def _record_questions(session: Session) -> None:
    text = QUESTIONS.read_text(encoding="utf-8")
    for name, steps in sessions(QUESTIONS).items():
        said = [session.questions[step.command] for step in steps]
        printed = [
            Step(step.command, (one.out + one.err).replace(str(session.project.folder), "~/project"))
            for step, one in zip(steps, said, strict=True)
        ]
        text = with_session(text, name, printed)
    QUESTIONS.write_text(text, encoding="utf-8")


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
    record_year() if sys.argv[1:] == ["year"] else record(sys.argv[1:] or EXAMPLES)
