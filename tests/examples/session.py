"""What a newcomer types in an example's project, each command once and in this order, for all tests that look at the results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.cli import Said
from tests.examples.project import REPOSITORY, ExampleProject
from tests.sessions import sessions

CHANGES = {
    "taxi": ("\nBUCKETS = 10", "\nBUCKETS = 20"),
    "bikes": ('"weathersit": 5}', '"weathersit": 6}'),
    "penguins": ("num_oov_buckets=1,", "num_oov_buckets=2,"),
}
"""For each example, a text of its `features.py` and another one for it."""


QUESTIONS = REPOSITORY / "docs" / "lineage.md"


@dataclass(frozen=True)
class Changed:
    """A run after one line of `features.py` was changed.

    Attributes:
        line: Number of the line.
        plan: What was planned.
        planned: The same as data.
        nodes: What is recorded of the nodes of the run.
    """

    line: int
    plan: Said
    planned: list[dict[str, Any]]
    nodes: dict[str, dict[str, Any]]


class Session:
    """The commands; each property forces those that come before it.

    Args:
        project: Where they are typed.
    """

    def __init__(self, project: ExampleProject) -> None:
        self.project = project

    @cached_property
    def first(self) -> Said:
        """A first run."""
        return self.project.run()

    @cached_property
    def first_nodes(self) -> dict[str, dict[str, Any]]:
        """What is recorded of the nodes of the first run."""
        return self._nodes_after(self.first)

    @cached_property
    def again(self) -> Said:
        """The same again; its stderr also lists the modules that its process imported."""
        return self._after(self.first_nodes).run(PYTHONPROFILEIMPORTTIME="1")

    @cached_property
    def again_nodes(self) -> dict[str, dict[str, Any]]:
        """What is recorded of the nodes of the second run."""
        return self._nodes_after(self.again)

    @cached_property
    def shown(self) -> dict[str, Said]:
        """What the commands print that the example's README shows after the run."""
        project = self._after(self.again_nodes)
        steps = [step for steps in sessions(REPOSITORY / "examples" / project.name / "README.md").values() for step in steps]
        return {step.command: project.shell(step.command) for step in steps if not step.command.startswith("cauce run")}

    @cached_property
    def changed(self) -> Changed:
        """A plan and a run after a line was changed; it is changed back."""
        project = self._after(self.shown)
        before = project.features.read_text()
        old, new = CHANGES[project.name]
        project.features.write_text(before.replace(old, new, 1))
        try:
            words = ("plan", f"examples/{project.name}")
            plan, planned = project.cauce(*words), project.cauce(*words, "--json").json("plan")
            nodes = self._nodes_after(project.run())
        finally:
            project.features.write_text(before)
        line = before.partition(old)[0].count("\n") + 1 + old.startswith("\n")
        return Changed(line, plan, planned, nodes)

    @cached_property
    def questions(self) -> dict[str, Said]:
        """What the commands of `docs/lineage.md` print, after one more run, whose model is not good enough."""
        project = self._after(self.changed)
        self._nodes_after(project.run("--set", "trainer.train_steps=20"))
        steps = [step for steps in sessions(QUESTIONS).values() for step in steps]
        return {step.command: project.shell(step.command) for step in steps}

    def _after(self, earlier: object) -> ExampleProject:
        return self.project

    def _nodes_after(self, run: Said) -> dict[str, dict[str, Any]]:
        if run.code:
            raise RuntimeError(f"the run of {self.project.name} failed:\n{run.err[-3000:]}\n{run.out}")
        return {node["id"]: node for node in self.project.nodes()}
