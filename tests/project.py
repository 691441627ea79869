"""A project in a temporary folder: its pipelines are run for real, with a SQLite store, and what happened is collected."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.channel import Channel
from pipeline.component import Component
from pipeline.context import Progress
from pipeline.definition import Pipeline
from pipeline.driver import Decision, RunInfo
from pipeline.loading import Definition, load_definition
from pipeline.metadata import MetadataStore
from pipeline.outcome import Outcome, RunResult
from pipeline.planning import plan
from pipeline.records import Execution
from pipeline.reporter import Reporter
from pipeline.runner import RunOptions, new_run_id, run_info, run_pipeline
from pipeline.storage import Storage


@dataclass
class Events(Reporter):
    """A silent reporter that keeps what it hears."""

    order: list[tuple[str, str]] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    progress: list[tuple[str, Progress]] = field(default_factory=list)
    memory: list[tuple[str, int]] = field(default_factory=list)
    retries: list[tuple[str, int, str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    results: list[RunResult] = field(default_factory=list)

    def run_started(self, run: RunInfo, nodes: Sequence[str], log_folder: str) -> None:
        self.order.append(("started", run.run))

    def node_decided(self, node: str, decision: Decision) -> None:
        self.decisions[node] = decision
        self.order.append(("decided", node))

    def node_progress(self, node: str, progress: Progress) -> None:
        self.progress.append((node, progress))

    def node_memory(self, node: str, resident: int) -> None:
        self.memory.append((node, resident))

    def node_retried(self, node: str, attempt: int, error: str, delay: float) -> None:
        self.retries.append((node, attempt, error, delay))

    def node_finished(self, node: str, outcome: Outcome) -> None:
        self.order.append((outcome.state.value, node))

    def run_finished(self, result: RunResult) -> None:
        self.results.append(result)

    def note(self, text: str, details: Mapping[str, str] | None = None) -> None:
        self.notes.append(text)


@dataclass
class Ran:
    """How a run ended, and what the reporter heard."""

    result: RunResult
    events: Events

    def state(self, node: str) -> str:
        """Returns how a node ended."""
        return self.result[node].state.value

    @property
    def states(self) -> dict[str, str]:
        """How each node ended."""
        return {outcome.node: outcome.state.value for outcome in self.result.outcomes}

    def reasons(self, node: str) -> tuple[str, ...]:
        """Returns why a node ran, or did not."""
        return self.result[node].reasons

    def output(self, node: str) -> Artifact:
        """Returns the only output of a node."""
        ((artifact,),) = self.result[node].outputs.values()
        return artifact


class Project:
    """A folder with a root, a store and files of user code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.url = f"sqlite://{self.root}/metadata.db"

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the project."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"))
        return file

    def definition(self, *ends: Component | Channel, name: str = "fake", beam_args: Sequence[str] = ()) -> Definition:
        """Returns a definition that ends in these nodes, as if a file of this folder had built it."""
        return Definition(Pipeline(name, ends, beam_args=beam_args), self.write("built.py", ""), self.folder)

    def options(self, **given: Any) -> RunOptions:
        """Returns the options of a run in this project."""
        return RunOptions(**{"root": self.root, "metadata": self.url, "parallel": 2, **given})

    def run(self, *ends: Component | Channel, name: str = "fake", **options: Any) -> Ran:
        """Runs a pipeline that ends in these nodes."""
        return self.run_definition(self.definition(*ends, name=name), **options)

    def run_file(self, file: str = "definition.py", **options: Any) -> Ran:
        """Runs the pipeline of a definition file."""
        return self.run_definition(load_definition(self.folder / file), **options)

    def run_definition(self, definition: Definition, **options: Any) -> Ran:
        """Runs a loaded definition."""
        events = Events()
        return Ran(run_pipeline(definition, self.options(**options), events), events)

    def plan(self, *ends: Component | Channel, name: str = "fake", url: str | None = None, **options: Any) -> dict[str, Decision]:
        """Plans a pipeline that ends in these nodes."""
        definition = self.definition(*ends, name=name)
        info = run_info(definition, self.options(**options), new_run_id())
        planned = plan(definition.pipeline, info, MetadataStore(url or self.url), Storage(self.root, create=False))
        return {node.node: node.decision for node in planned}

    @property
    def store(self) -> MetadataStore:
        """A connection of its own to the store."""
        return MetadataStore(self.url)

    @property
    def storage(self) -> Storage:
        """The root folder."""
        return Storage(self.root)

    def executions(self, run: str) -> dict[str, Execution]:
        """Returns the latest execution of each node of a run."""
        return {execution.node: execution for execution in self.store.executions_of_run(run)}

    def published(self) -> list[Path]:
        """Returns the published folders below the root, whether the store knows them or not."""
        return sorted((self.root / "artifacts").glob("*/*/*/*"))
