"""`cauce schema diff` and `cauce schema accept`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from pipeline.artifacts import Artifact, ArtifactState
from pipeline.cli.common import console, counted, json_option, open_store, print_json, store_options
from pipeline.component import resolve_path
from pipeline.errors import UsageError, did_you_mean
from pipeline.extensions import schema_file, schema_review
from pipeline.lineage.finding import find_artifact
from pipeline.loading import find_project
from pipeline.metadata import MetadataStore

_INFERRED, _PROPOSED = "schema.pbtxt", "proposed.pbtxt"


@dataclass(frozen=True)
class _Review:
    """A curated schema file, the artifacts that ask for changes, and those changes that it does not allow yet."""

    file: Path
    sources: tuple[Artifact, ...]
    changes: tuple[Any, ...]
    is_new: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "new": self.is_new,
            "sources": [{"id": source.id, "type": source.type_name, "uri": source.uri} for source in self.sources],
            "changes": [asdict(change) for change in self.changes],
        }


@click.group()
def schema() -> None:
    """Review what the data ask for against the curated schema file, and accept it.

    \b
    Examples:
      cauce schema diff schemas/taxi.pbtxt
      cauce schema accept schemas/taxi.pbtxt --feature payment_type
    """


file_argument = click.argument("file", required=False, type=click.Path(path_type=Path))
source_option = click.option(
    "--from", "source", metavar="ID|PATH|latest:TYPE", help="A Schema or ExampleAnomalies; default: the latest ones about FILE."
)


@schema.command()
@file_argument
@source_option
@store_options
@json_option
def diff(file: Path | None, source: str | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show what the data ask for that the curated schema FILE does not allow; without FILE the one that was used last.

    \b
    Examples:
      cauce schema diff
      cauce schema diff schemas/taxi.pbtxt --from latest:Schema
    """
    review = _review(open_store(root, metadata).store, file, source)
    if as_json:
        print_json(review.as_json())
        return
    screen = console()
    asked = " and ".join(f"{artifact.type_name} {artifact.id}" for artifact in review.sources)
    screen.print(Text.assemble((str(review.file), "bold"), f", by {asked}: {counted(len(review.changes), 'change')}"))
    for change in review.changes:
        screen.print(Text.assemble("\n", (f"{change.what}: ", "bold"), change.text))
        screen.print(Text("".join(f"  - {line}\n" for line in change.before.splitlines()), style="red"), end="")
        screen.print(Text("".join(f"  + {line}\n" for line in change.after.splitlines()), style="green"), end="")
    if review.changes:
        screen.print(Text(f"\nto accept them: cauce schema accept {review.file} [--feature NAME]", style="dim"))


@schema.command()
@file_argument
@click.option("--feature", "features", multiple=True, metavar="NAME", help="Accept only the changes of this feature; may be repeated.")
@source_option
@store_options
@json_option
def accept(file: Path | None, features: tuple[str, ...], source: str | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Write what the data ask for into the curated schema FILE; its comments stay.

    Where there is no FILE yet, the inferred schema becomes it.

    \b
    Examples:
      cauce schema accept schemas/taxi.pbtxt --feature payment_type
      cauce schema accept schemas/new.pbtxt
    """
    store = open_store(root, metadata).store
    found = _existing(file)
    if file is not None and found is None:
        review = _start(store, file, features, source)
    else:
        review = _chosen(_review(store, found, source), features)
        if review.changes:
            schema_review().accept(review.file, review.changes)
    if as_json:
        print_json(review.as_json())
    elif review.is_new:
        click.echo(f"{review.file} was written, from Schema {review.sources[0].id}.")
        click.echo("To use it: ImportSchema(schema_file=...), or SchemaGen(curated=...), which goes on proposing changes.")
    elif review.changes:
        click.echo("\n".join([f"{review.file} now allows:", *(f"  {change.text}" for change in review.changes)]))
    else:
        click.echo(f"{review.file} allows all that the data ask for; nothing was changed.")


def _review(store: MetadataStore, file: Path | None, source: str | None) -> _Review:
    """Returns the changes that a curated file does not allow yet.

    Raises:
        UsageError: If there is no such file, or nothing to compare it with.
    """
    curated = _existing(file)
    if file is not None and curated is None:
        raise UsageError(f"There is no schema file {file}.", hint=f"To make it of the inferred schema: cauce schema accept {file}")
    if curated is None:
        curated = _last_used(store)
    sources = [find_artifact(store, source)] if source is not None else _about(store, curated)
    changes = {(change.feature, change.what): change for artifact in sources for change in _asked_for(artifact, curated)}
    return _Review(curated, tuple(sources), tuple(changes.values()))


def _chosen(review: _Review, features: Sequence[str]) -> _Review:
    known = {change.feature for change in review.changes}
    for feature in features:
        if feature not in known:
            raise UsageError(
                f"No change of the feature '{feature}' is asked for.{did_you_mean(feature, known)}",
                hint=f"See them: cauce schema diff {review.file}",
            )
    return replace(review, changes=tuple(change for change in review.changes if not features or change.feature in features))


def _start(store: MetadataStore, file: Path, features: Sequence[str], source: str | None) -> _Review:
    """Makes the inferred schema the curated file."""
    if features:
        raise UsageError(
            f"There is no schema file {file} yet; --feature chooses among changes of one.",
            hint=f"Make it first: cauce schema accept {file}",
        )
    inferred = find_artifact(store, source) if source is not None else next(iter(_inferred(store)), None)
    if inferred is None or inferred.type_name != "Schema":
        raise UsageError(f"There is no inferred schema to make {file} of.", hint="Run a pipeline with SchemaGen first: cauce run PATH")
    schema_file().read_schema(inferred.path / _INFERRED)
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(inferred.path / _INFERRED, file)
    return _Review(file, (inferred,), (), is_new=True)


def _existing(file: Path | None) -> Path | None:
    """Returns a file as a person means it: relative to where they stand, or to the project."""
    project = find_project(Path.cwd()) or Path.cwd()
    return None if file is None else next((path for path in (file, project / file) if path.is_file()), None)


def _about(store: MetadataStore, file: Path) -> list[Artifact]:
    """Returns the latest artifacts that say what the data ask for beyond a curated file: anomalies, a proposal, or an inferred schema."""
    anomalies = (artifact for artifact in _live(store, "ExampleAnomalies") if _names(artifact.summary().get("schema_file"), file))
    proposals = (
        artifact for artifact in _live(store, "Schema") if _is_proposal(artifact) and _names(artifact.properties.get("schema_file"), file)
    )
    found = [artifact for group in (anomalies, proposals) for artifact in (next(group, None),) if artifact is not None]
    found = found or [artifact for artifact in (next(iter(_inferred(store)), None),) if artifact is not None]
    if not found:
        raise UsageError(
            f"Nothing that was made so far says what the data ask for beyond {file}.", hint="Run a pipeline that uses it: cauce run PATH"
        )
    return found


def _live(store: MetadataStore, type_name: str) -> list[Artifact]:
    """Returns the artifacts of a type, that first which a run made, or took from the cache, last."""
    live = [artifact for artifact in store.all_artifacts(type_name) if artifact.state is ArtifactState.LIVE and artifact.path.is_dir()]
    given = _last_given(store, live)
    return sorted(live, key=lambda artifact: -given.get(artifact.id or 0, 0))


def _last_given(store: MetadataStore, artifacts: Sequence[Artifact]) -> dict[int, int]:
    """Returns by artifact the number of the last execution that gave it."""
    events = (event for event in store.events_of_artifacts(artifact.id or 0 for artifact in artifacts) if event.kind.is_output)
    return {event.artifact: event.execution for event in sorted(events, key=lambda event: event.execution)}


def _inferred(store: MetadataStore) -> Iterable[Artifact]:
    return (artifact for artifact in _live(store, "Schema") if not artifact.properties.get("schema_file"))


def _is_proposal(artifact: Artifact) -> bool:
    return (artifact.path / _PROPOSED).is_file()


def _names(recorded: Any, file: Path) -> bool:
    """Returns whether a path that a definition gave, mostly relative to its project, may be this file."""
    parts = [part for part in Path(str(recorded)).parts if part not in ("..", ".")] if recorded else []
    return bool(parts) and list(file.resolve().parts[-len(parts) :]) == parts


def _last_used(store: MetadataStore) -> Path:
    used = [artifact for artifact in _live(store, "Schema") if artifact.properties.get("schema_file")]
    if not used:
        raise UsageError("No run has used a curated schema file yet.", hint="Name one: cauce schema diff FILE")
    (last,) = store.executions(_last_given(store, used[:1]).values())
    run = store.run(last.run)
    folder = Path(str(run.properties.get("definition", "."))).parent
    file = resolve_path(find_project(folder) or folder, str(used[0].properties["schema_file"]))
    if not file.is_file():
        raise UsageError(f"The schema file that was used last is gone: {file}", hint="Name one: cauce schema diff FILE")
    return file


def _asked_for(artifact: Artifact, file: Path) -> list[Any]:
    """Returns the changes that an artifact asks for and a curated file does not allow yet."""
    review, files = schema_review(), schema_file()
    if artifact.type_name == "ExampleAnomalies":
        return [change for change in review.changes_of(artifact.summary()) if _is_pending(change, file)]
    if artifact.type_name != "Schema":
        raise UsageError(f"--from expects a Schema or ExampleAnomalies. Received: {artifact.type_name} {artifact.id}")
    asked = artifact.path / (_PROPOSED if _is_proposal(artifact) else _INFERRED)
    found: list[Any] = review.diff(files.read_schema(asked), files.read_schema(file))
    return found


def _is_pending(change: Any, file: Path) -> bool:
    """Returns whether a change changes the file, by accepting it into a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, file.name)
        shutil.copyfile(file, copy)
        schema_review().accept(copy, [change])
        read = schema_file().read_schema
        return bool(read(copy) != read(file))
