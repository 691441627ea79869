"""`cauce models list` and `cauce models rollback`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.cli.common import Opened, Verbs, console, json_option, open_store, print_json, store_options, table
from pipeline.cli.show.cells import number
from pipeline.errors import UsageError, did_you_mean
from pipeline.extensions import serving
from pipeline.lineage.serving import Judgement, destinations_of, judgements
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.records import MANUAL_RUN, ExecutionState

ROLLBACK = "cauce.models.rollback"


@click.group(cls=Verbs)
def models() -> None:
    """List pushed models, roll back to an earlier one.

    \b
    Examples:
      cauce models
      cauce models rollback serving/taxi 3 --reason "too many false alarms since Monday"
    """


@models.command("list")
@click.argument("destination", required=False, type=click.Path(path_type=Path))
@store_options
@json_option
def list_models(destination: Path | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """List the versions in DESTINATION, or in all destinations that models were pushed to, oldest first.

    \b
    Examples:
      cauce models
      cauce models list serving/taxi
    """
    store = open_store(root, metadata).store
    if destination is not None and not destination.is_dir():
        raise UsageError(f"There is no folder {destination}.{_known(store)}")
    folders = [destination.resolve()] if destination is not None else destinations_of(store)
    versions = {folder: serving().versions(folder) for folder in folders}
    judged = judgements(store, [v.record.model_id for found in versions.values() for v in found if v.record and v.record.model_id])
    if as_json:
        print_json([_as_json(folder, version, version is found[-1], judged) for folder, found in versions.items() for version in found])
        return
    if not any(versions.values()):
        click.echo("No model has been pushed yet.", err=True)
    for folder, found in versions.items():
        if found:
            _print(folder, found, judged)


@models.command()
@click.argument("destination", type=click.Path(path_type=Path))
@click.argument("version", type=click.IntRange(min=0))
@click.option("--reason", required=True, help="Why; it is recorded in the metadata store and beside the model.")
@store_options
@json_option
def rollback(destination: Path, version: int, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Serve an earlier VERSION in DESTINATION again: its files are published once more under the next number.

    \b
    Example:
      cauce models rollback serving/taxi 3 --reason "too many false alarms since Monday"
    """
    opened = open_store(root, metadata)
    if opened.store.url == EMPTY:
        raise UsageError(f"There is no metadata store in {opened.settings.root_path} to record it in.", hint="Name its root: --root DIR")
    if not reason.strip():
        raise UsageError("--reason is empty. Expected why, in a few words.")
    if not destination.is_dir():
        raise UsageError(f"There is no folder {destination}.{_known(opened.store)}")
    folder = destination.resolve()
    before = serving().served_version(folder)
    restored = serving().rollback(folder, version, reason)
    execution = _record(opened, folder, version, restored, before, reason)
    if as_json:
        print_json(
            {"destination": str(folder), "restored": version, "version": restored.number, "uri": str(restored.path), "execution": execution}
        )
    else:
        click.echo(
            f"{folder} serves version {restored.number}, which is version {version} again. Its reason is recorded as execution {execution}."
        )


def _record(opened: Opened, folder: Path, version: int, restored: Any, before: Any, reason: str) -> int:
    """Records the rollback, which has happened, as an execution that used the model."""
    record = restored.record
    properties = {
        "reasons": json.dumps([reason]),
        "parameters": json.dumps({"destination": str(folder), "version": version, "reason": reason}),
        "restored_version": version,
        "served_version": restored.number,
        "replaced_version": before.number,
        "destination": str(folder),
    }
    known = opened.store.artifacts([record.model_id]) if record.model_id else []
    inputs = {"model": [artifact for artifact in known if artifact.name == record.model]}
    execution = opened.store.register(record.pipeline or MANUAL_RUN, MANUAL_RUN, "models.rollback", ROLLBACK, properties, inputs)
    verdict = {"verdict": "rolled back", "verdict_reasons": json.dumps([reason])}
    opened.store.publish(execution, ExecutionState.COMPLETE, verdict)
    return execution


def _known(store: MetadataStore) -> str:
    return did_you_mean("", [str(folder) for folder in destinations_of(store)])


def _as_json(folder: Path, version: Any, served: bool, judgements: dict[int, Judgement]) -> dict[str, Any]:
    record = version.record
    judgement = judgements.get(record.model_id, Judgement()) if record else Judgement()
    return {
        "id": str(version.path),
        "type": "PushedModel",
        "name": f"{folder.name}/{version.number}",
        "uri": str(version.path),
        "state": "served" if served else "available",
        "created": record.pushed if record else None,
        "destination": str(folder),
        "version": version.number,
        "model": record.model_id if record else None,
        "pipeline": record.pipeline if record else None,
        "run": record.run if record else None,
        "size_bytes": record.size if record else None,
        "blessed": judgement.blessed,
        "blessing_reasons": list(record.reasons) if record else [],
        "metrics": judgement.metrics,
        "restored": record.restored if record else None,
        "reason": record.reason if record else "",
        "problem": version.problem,
    }


def _print(folder: Path, found: Sequence[Any], judgements: dict[int, Judgement]) -> None:
    rows: list[list[RenderableType]] = []
    for version in found:
        row = _as_json(folder, version, version is found[-1], judgements)
        notes = [f"version {row['restored']} again: {row['reason']}"] if row["restored"] else []
        notes += [row["problem"]] if row["problem"] else []
        rows.append(
            [
                str(version.number),
                Text(row["state"], style="green" if row["state"] == "served" else "dim"),
                {True: "blessed", False: "not blessed", None: "-"}[row["blessed"]],
                ", ".join(f"{name} {number(value)}" for name, value in row["metrics"].items()) or "-",
                str(row["model"] or "-"),
                (row["created"] or "-").replace("T", " "),
                "; ".join(notes),
            ]
        )
    screen = console()
    screen.print(Text(str(folder), style="bold"))
    screen.print(table(["version", "", "verdict", "metrics", "model", "pushed", ""], rows, right=["version", "model"]))
