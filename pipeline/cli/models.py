"""`cauce models`: what is served, back to an earlier version, and the pin that keeps others away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from pipeline.artifacts import Artifact, Property
from pipeline.cli.common import Opened, Verbs, console, json_option, open_store, print_json, store_options, table
from pipeline.cli.show.cells import number
from pipeline.errors import UsageError, did_you_mean
from pipeline.extensions import destination as decisions
from pipeline.extensions import serving
from pipeline.lineage.serving import Judgement, destinations_of, judgements
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.records import MANUAL_RUN, ExecutionState

ROLLBACK = "cauce.models.rollback"
PIN, UNPIN = "cauce.models.pin", "cauce.models.unpin"


reason_option = click.option("--reason", required=True, help="Why; it is recorded in the metadata store and beside the model.")


@click.group(cls=Verbs)
def models() -> None:
    """List pushed models, roll back to an earlier one, pin one.

    \b
    Examples:
      cauce models
      cauce models rollback serving/taxi 3 --reason "too many false alarms since Monday"
      cauce models pin serving/taxi --reason "audit until Friday"
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
@reason_option
@click.option("--pin", "pinned", is_flag=True, help="Pin the destination too, so that no other model is pushed there until it is unpinned.")
@store_options
@json_option
def rollback(destination: Path, version: int, reason: str, pinned: bool, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Serve an earlier VERSION in DESTINATION again: its files are published once more under the next number.

    The later models are withdrawn: they are no champions any more, and are not pushed again unless you roll back to one of them.

    \b
    Example:
      cauce models rollback serving/taxi 3 --reason "too many false alarms since Monday"
    """
    opened = open_store(root, metadata)
    folder = _checked(opened, destination, reason)
    before = serving().served_version(folder)
    withdrawn = serving().withdrawn_by(folder, version)
    restored = serving().rollback(folder, version, reason)
    if pinned and decisions().standing_of(folder).pin is None:
        decisions().pin(folder, restored.number, reason)
    execution = _record_rollback(opened, folder, version, restored, before, withdrawn, reason)
    is_pinned = decisions().standing_of(folder).pin is not None
    if as_json:
        print_json(
            {
                "destination": str(folder),
                "restored": version,
                "version": restored.number,
                "uri": str(restored.path),
                "withdrawn": [one.number for one in withdrawn],
                "pinned": is_pinned,
                "execution": execution,
            }
        )
        return
    click.echo(
        f"{folder} serves version {restored.number}, which is version {version} again. Its reason is recorded as execution {execution}."
    )
    if withdrawn:
        click.echo(f"Withdrawn, and not pushed again: version {', '.join(str(one.number) for one in withdrawn)}.")
    if is_pinned:
        click.echo("The destination is pinned: no other model is pushed there.")


@models.command()
@click.argument("destination", type=click.Path(path_type=Path))
@reason_option
@store_options
@json_option
def pin(destination: Path, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Keep the served version of DESTINATION: runs go on to train and to evaluate, and the Pusher says why it does not push.

    \b
    Example:
      cauce models pin serving/taxi --reason "audit until Friday"
    """
    opened = open_store(root, metadata)
    folder = _checked(opened, destination, reason)
    served = _served(folder)
    decisions().pin(folder, served.number, reason)
    _say(opened, folder, served, PIN, reason, f"{folder} is pinned at version {served.number}.", as_json)


@models.command()
@click.argument("destination", type=click.Path(path_type=Path))
@reason_option
@store_options
@json_option
def unpin(destination: Path, reason: str, root: str | None, metadata: str | None, as_json: bool) -> None:
    """End the pin of DESTINATION: blessed models are pushed there again.

    \b
    Example:
      cauce models unpin serving/taxi --reason "the audit is over"
    """
    opened = open_store(root, metadata)
    folder = _checked(opened, destination, reason)
    ended = decisions().unpin(folder)
    told = f"{folder} is not pinned any more. It was since {ended.since}: {ended.reason}."
    _say(opened, folder, _served(folder), UNPIN, reason, told, as_json)


def _checked(opened: Opened, destination: Path, reason: str) -> Path:
    """Returns the folder of a destination, once it is sure that a decision about it can be recorded."""
    if opened.store.url == EMPTY:
        raise UsageError(f"There is no metadata store in {opened.settings.root_path} to record it in.", hint="Name its root: --root DIR")
    if not reason.strip():
        raise UsageError("--reason is empty. Expected why, in a few words.")
    if not destination.is_dir():
        raise UsageError(f"There is no folder {destination}.{_known(opened.store)}")
    return destination.resolve()


def _served(folder: Path) -> Any:
    served = serving().served_version(folder)
    if served is None:
        raise UsageError(f"{folder} has no version yet.", hint="Push a model first: cauce run")
    return served


def _say(opened: Opened, folder: Path, served: Any, kind: str, reason: str, told: str, as_json: bool) -> None:
    """Records that a destination was pinned or unpinned, which has happened, and says so."""
    is_pinned = kind == PIN
    execution = _record(opened, served.record, kind, "pinned" if is_pinned else "unpinned", reason, folder, version=served.number)
    if as_json:
        print_json({"destination": str(folder), "version": served.number, "pinned": is_pinned, "reason": reason, "execution": execution})
    else:
        click.echo(f"{told} The reason is recorded as execution {execution}.")


def _record_rollback(opened: Opened, folder: Path, version: int, restored: Any, before: Any, withdrawn: Sequence[Any], reason: str) -> int:
    """Records the rollback, which has happened, as an execution that used the model and those that it withdrew."""
    numbers = {"restored_version": version, "served_version": restored.number, "replaced_version": before.number}
    gone = [artifact for one in withdrawn for artifact in _model_of(opened.store, one.record)]
    others = {"withdrawn": list({artifact.id: artifact for artifact in gone}.values())} if gone else {}
    return _record(opened, restored.record, ROLLBACK, "rolled back", reason, folder, others, numbers, version=version)


def _record(
    opened: Opened,
    record: Any,
    kind: str,
    verdict: str,
    reason: str,
    folder: Path,
    others: Mapping[str, list[Artifact]] = {},
    more: Mapping[str, int] = {},
    *,
    version: int,
) -> int:
    """Records what a person did as an execution that used the model; returns its number."""
    properties: dict[str, Property] = {
        "reasons": json.dumps([reason]),
        "parameters": json.dumps({"destination": str(folder), "version": version, "reason": reason}),
        "destination": str(folder),
        **more,
    }
    inputs = {"model": _model_of(opened.store, record), **others}
    pipeline = record.pipeline if record is not None and record.pipeline else MANUAL_RUN
    execution = opened.store.register(pipeline, MANUAL_RUN, kind.removeprefix("cauce."), kind, properties, inputs)
    decided = {"verdict": verdict, "verdict_reasons": json.dumps([reason])}
    opened.store.publish(execution, ExecutionState.COMPLETE, decided)
    return execution


def _model_of(store: MetadataStore, record: Any) -> list[Artifact]:
    """Returns the Model artifact of a served version; none if this store does not know it."""
    known = store.artifacts([record.model_id]) if record is not None and record.model_id else []
    return [artifact for artifact in known if artifact.name == record.model]


def _known(store: MetadataStore) -> str:
    return did_you_mean("", [str(folder) for folder in destinations_of(store)])


def _as_json(folder: Path, version: Any, served: bool, judgements: dict[int, Judgement]) -> dict[str, Any]:
    record = version.record
    judgement = judgements.get(record.model_id, Judgement()) if record else Judgement()
    standing = decisions().standing_of(folder)
    withdrawal = standing.withdrawal(record.digest) if record else None
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
        "pinned": {"reason": standing.pin.reason, "since": standing.pin.since} if served and standing.pin else None,
        "withdrawn": {"reason": withdrawal.reason, "since": withdrawal.since} if withdrawal else None,
    }


def _print(folder: Path, found: Sequence[Any], judgements: dict[int, Judgement]) -> None:
    rows: list[list[RenderableType]] = []
    for version in found:
        row = _as_json(folder, version, version is found[-1], judgements)
        notes = [f"version {row['restored']} again: {row['reason']}"] if row["restored"] else []
        notes += [f"withdrawn: {row['withdrawn']['reason']}"] if row["withdrawn"] else []
        notes += [f"pinned: {row['pinned']['reason']}"] if row["pinned"] else []
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
