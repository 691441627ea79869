"""Finds runs, nodes, executions and artifacts by what a person types: an id or the start of one, `latest`, a node, a path.

An artifact is a number, its name, `latest:TYPE`, `span:3`, the path of a file in it, of a served model (of the folder of all versions:
what it serves now), or of an input file that it was read from. A run is its id, the start of one, or `latest`. A node is its name (of
the latest run that has it) or `RUN/NODE`. An execution is `execution:12`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import Artifact, ArtifactState, type_names
from pipeline.errors import UsageError, did_you_mean
from pipeline.lineage.graph import producers
from pipeline.metadata import MetadataStore, redacted
from pipeline.records import EventKind, Execution, Run
from pipeline.reports import NodeReport, files_read, nodes_of_run

LATEST, SPAN, EXECUTION = "latest:", "span:", "execution:"
NO_RUNS = "Start one: cauce run PATH. If there is one elsewhere, go to its project's folder, or name its root: --root DIR"
SERVED_FILE = Path("assets.extra", "cauce.json")
OTHER_STORE = "Is it another store? See which this is: cauce config"
_RUN_NAMES = (None, "latest", "-")
_RECENT_RUNS = 50
_PAGES = (100, 2_000, None)


@dataclass(frozen=True)
class Found:
    """What a text names: exactly one of these; a node comes with its run.

    Attributes:
        run: A run, or the run of the node.
        node: A node of the run.
        execution: An execution.
        artifact: An artifact.
    """

    run: Run | None = None
    node: NodeReport | None = None
    execution: Execution | None = None
    artifact: Artifact | None = None


def find(store: MetadataStore, text: str) -> Found:
    """Returns what a text names; see the module.

    Raises:
        UsageError: If it names nothing, or more than one thing.
    """
    if text.startswith(EXECUTION):
        return Found(execution=_execution(store, text.removeprefix(EXECUTION)))
    if text.isdecimal():
        artifacts = store.artifacts([int(text)])
        if artifacts:
            return Found(artifact=artifacts[0])
        executions = store.executions([int(text)])
        if executions:
            return Found(execution=executions[0])
    if text in _RUN_NAMES:
        return Found(run=find_run(store, text))
    run = next((run for run in store.runs() if run.id.startswith(text)), None) if "/" not in text else None
    if run is not None:
        return Found(run=find_run(store, text))
    node = _named_node(store, text)
    if node is not None:
        return node
    if text.startswith((LATEST, SPAN)) or Path(text).exists() or len(Path(text).parts) > 1:
        return Found(artifact=find_artifact(store, text))
    runs = store.runs()[-_RECENT_RUNS:]
    known = [*(run.id for run in runs), *(name for run in runs for name in _planned(run))]
    close = difflib.get_close_matches(text, dict.fromkeys(known), n=1)
    raise UsageError(
        f"There is no run, node, execution or artifact '{text}'.{f' Did you mean {close[0]!r}?' if close else ''}",
        hint=f"See what there is: cauce runs list, cauce nodes, cauce artifacts list; or: cauce search {text}",
    )


def _planned(run: Run) -> list[str]:
    """Returns the ids of the nodes of a run."""
    return list(json.loads(str(run.properties.get("nodes") or "[]")))


def find_run(store: MetadataStore, text: str | None) -> Run:
    """Returns the run that `latest`, `-`, an id or the start of one names.

    Raises:
        UsageError: If there is none, or more than one.
    """
    runs = store.runs()
    if not runs:
        raise UsageError(f"There are no runs in {redacted(store.url)}.", hint=NO_RUNS)
    if text in _RUN_NAMES:
        return runs[-1]
    found = [run for run in runs if run.id == text] or [run for run in runs if run.id.startswith(text or "")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{text}' names {len(found)} runs: {', '.join(run.id for run in found[:5])}.", hint="Type more of the id.")
    raise UsageError(
        f"There is no run '{text}'.{did_you_mean(text or '', [run.id for run in runs[-20:]])}", hint="See them: cauce runs list"
    )


def find_node(store: MetadataStore, run: Run, name: str) -> NodeReport:
    """Returns a node of a run by its id, without regard to case.

    Raises:
        UsageError: If the run has no such node.
    """
    found = {node.id: node for node in nodes_of_run(store, run)}
    lower = {id.lower(): id for id in found}
    if name.lower() not in lower:
        raise UsageError(f"Run {run.id} has no node '{name}'.{did_you_mean(name, found)}", hint=f"See them: cauce nodes {run.id}")
    return found[lower[name.lower()]]


def _execution(store: MetadataStore, text: str) -> Execution:
    found = store.executions([int(text)]) if text.isdecimal() else []
    if not found:
        raise UsageError(f"There is no execution '{text}'. Expected its number.", hint="See them: cauce executions list")
    return found[0]


def _named_node(store: MetadataStore, text: str) -> Found | None:
    """Returns the node that `NODE` or `RUN/NODE` names: of the latest run that has it; None if no run has it."""
    run_name, _, name = text.rpartition("/")
    if not name.replace("_", "").replace("-", "").isalnum() or Path(text).exists():
        return None
    if run_name:
        runs = [run for run in store.runs() if run.id.startswith(run_name)] if run_name not in _RUN_NAMES else store.runs()[-1:]
    else:
        runs = store.runs()[-_RECENT_RUNS:]
    for run in reversed(runs):
        if name.lower() in map(str.lower, _planned(run)):
            return Found(run=run, node=find_node(store, run, name))
    return None


def find_artifact(store: MetadataStore, text: str) -> Artifact:
    """Returns the artifact that a number, a name, `latest:TYPE`, `span:3` or a path names; see the module.

    Raises:
        UsageError: If there is none.
    """
    if text.isdecimal():
        found = store.artifacts([int(text)])
        if found:
            return found[0]
    if text.startswith(LATEST):
        return _latest(store, text.removeprefix(LATEST))
    if text.startswith(SPAN):
        return _of_span(store, text.removeprefix(SPAN))
    named = _named(store, text)
    if named is not None:
        return named
    path = Path(text)
    if path.exists() or len(path.parts) > 1:
        return _at(store, path.resolve())
    raise UsageError(
        f"There is no artifact '{text}'. Expected a number, latest:TYPE, span:N, or the path of a file in an artifact or a served model.",
        hint="See them: cauce artifacts list",
    )


def find_roots(store: MetadataStore, text: str) -> list[Artifact]:
    """Returns the artifact that a text names, or, where it names a run, the artifacts that the run ended in.

    Raises:
        UsageError: If there is neither.
    """
    path = Path(text)
    if not (text.startswith((LATEST, SPAN)) or path.exists() or len(path.parts) > 1 or (text.isdecimal() and store.artifacts([int(text)]))):
        run = next((run for run in store.runs() if run.id.startswith(text)), None)
        if run is not None or text in ("latest", "-"):
            return _ends_of(store, find_run(store, text))
    return [find_artifact(store, text)]


def run_of(store: MetadataStore, artifact: Artifact) -> str:
    """Returns the id of the run that made an artifact; empty if it is not known."""
    return runs_of(store, [artifact]).get(artifact.id or 0, "")


def runs_of(store: MetadataStore, artifacts: Iterable[Artifact]) -> dict[int, str]:
    """Returns the id of the run that made each artifact, by the artifact's number."""
    origins = producers(store, [artifact.id or 0 for artifact in artifacts])
    executions = {execution.id: execution.run for execution in store.executions(event.execution for event in origins.values())}
    return {id: executions.get(event.execution, "") for id, event in origins.items()}


def check_type(store: MetadataStore, name: str) -> None:
    """Checks that there may be artifacts of a type.

    Raises:
        UsageError: If neither the store nor the engine knows it.
    """
    known = {*store.artifact_types(), *type_names()}
    if name not in known:
        raise UsageError(f"There is no artifact type '{name}'.{did_you_mean(name, known)}")


def _latest(store: MetadataStore, wanted: str) -> Artifact:
    check_type(store, wanted)
    for limit in _PAGES:
        page = store.all_artifacts(limit=limit)
        found = [artifact for artifact in page if artifact.type_name == wanted and artifact.state is ArtifactState.LIVE]
        if found:
            return found[-1]
        if limit is not None and len(page) < limit:
            break
    raise UsageError(f"There is no {wanted} yet.", hint="See what there is: cauce artifacts list")


def _of_span(store: MetadataStore, text: str) -> Artifact:
    """Returns the newest examples that were read from the files of a span."""
    columns = store.columns()
    ingested = columns.property("artifact", "input_fingerprint")
    spans = {int(span): id for id, span in sorted(columns.property("artifact", "span").items()) if id in ingested}
    if not text.isdecimal() or int(text) not in spans:
        known = ", ".join(map(str, sorted(spans))) or "none"
        raise UsageError(f"There are no examples of span '{text}'. Spans that were read: {known}.")
    return store.artifacts([spans[int(text)]])[0]


def _named(store: MetadataStore, text: str) -> Artifact | None:
    """Returns the artifact of a full name, `pipeline/run/node/output/execution`."""
    execution = text.rpartition("/")[2]
    if text.count("/") != 4 or not execution.isdecimal():
        return None
    made = store.artifacts(event.artifact for event in store.events_of_executions([int(execution)]) if event.kind.is_output)
    return next((artifact for artifact in made if artifact.name == text), None)


def _at(store: MetadataStore, path: Path) -> Artifact:
    """Returns the artifact whose payload a path belongs to, or the newest examples that were read from the file."""
    for folder in (path, *path.parents):
        served = folder / SERVED_FILE
        if served.is_file():
            return _served(store, served)
        found = store.artifacts_at(str(folder))
        if found:
            return found[-1]
    read = _read_from(store, path)
    if read is not None:
        return read
    versions = sorted((folder.parents[1] for folder in path.glob(f"*/{SERVED_FILE}")), key=lambda folder: folder.name.rjust(20))
    if versions:
        return _served(store, versions[-1] / SERVED_FILE)
    raise UsageError(f"{path} belongs to no artifact of this metadata store.", hint=OTHER_STORE)


def _read_from(store: MetadataStore, path: Path) -> Artifact | None:
    """Returns the newest examples that were read from an input file, or from a file of a folder."""
    written = json.dumps(str(path))[1:-1]
    columns = store.columns()
    holding = {id for name in ("parameters", "portion_parameters") for id in columns.holding("execution", name, written)}
    for execution in reversed(store.executions(sorted(holding))):
        if not execution.state.succeeded:
            continue
        for event in sorted(store.events_of_executions([execution.id]), key=lambda event: event.index):
            read = [Path(file.path) for file in files_read(execution, event).values()] if event.kind is EventKind.OUTPUT else []
            if any(file == path or path in file.parents for file in read):
                return next(iter(store.artifacts([event.artifact])), None)
    return None


def _served(store: MetadataStore, file: Path) -> Artifact:
    """Returns the artifact of a served model: what was pushed there, or the model that it is a copy of."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        id, name = int(record["model_id"]), str(record["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not say which model it holds: {type(error).__name__}: {error}") from error
    model = next((artifact for artifact in store.artifacts([id]) if artifact.name == name), None)
    if model is None:
        raise UsageError(f"{file} names the model '{name}' ({id}), which this metadata store does not know.", hint=OTHER_STORE)
    version = str(file.parent.parent)
    uses = [event.execution for event in store.events_of_artifacts([id], EventKind.INPUT)]
    made = store.artifacts(event.artifact for event in store.events_of_executions(uses) if event.kind.is_output)
    pushed = [artifact for artifact in made if artifact.properties.get("pushed_destination") == version]
    return pushed[-1] if pushed else model


def _ends_of(store: MetadataStore, run: Run) -> list[Artifact]:
    """Returns the outputs of a run that no other node of it has made something of."""
    executions = [execution for execution in store.executions_of_run(run.id) if execution.state.succeeded]
    events = store.events_of_executions(execution.id for execution in executions)
    used = {event.artifact for event in events if not event.kind.is_output}
    ends = store.artifacts(event.artifact for event in events if event.kind is EventKind.OUTPUT and event.artifact not in used)
    if not ends:
        raise UsageError(f"Run {run.id} has made no artifacts.", hint=f"See why: cauce runs show {run.id}")
    return ends
