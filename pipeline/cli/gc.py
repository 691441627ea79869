"""`cauce gc`."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path

import click
from rich.text import Text

from pipeline.artifacts import Artifact
from pipeline.cli.common import console, counted, json_option, open_store, print_json, size, store_options, table
from pipeline.cli.show.cells import listed
from pipeline.garbage import KEPT_RUNS, Garbage, find_garbage, remove_garbage
from pipeline.reports import artifact_as_json

_SHOWN = 50


@click.command()
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=KEPT_RUNS,
    show_default=True,
    metavar="N",
    help="Keep the last N runs of each pipeline that were done, and the failed ones since.",
)
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Keep also the runs that ended in the last DAYS days.")
@click.option("--apply", "applied", is_flag=True, help="Remove; without it, only show what would go.")
@store_options
@json_option
def gc(keep: int, older_than: float | None, applied: bool, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Remove artifacts that no kept run, blessed model or pushed model needs, and leftovers of runs that are over.

    Without --apply nothing is removed. What was removed stays in the metadata store as DELETED, with its lineage.

    \b
    Examples:
      cauce gc
      cauce gc --keep 10 --older-than 30 --apply
    """
    opened = open_store(root, metadata)
    with opened.storage.unused() if applied else contextlib.nullcontext():
        garbage = find_garbage(opened.store, opened.storage, keep=keep, older_than=older_than)
        if applied:
            remove_garbage(garbage, opened.store, opened.storage)
    if as_json:
        print_json(_as_json(garbage, applied))
    else:
        _print(garbage, opened.storage.root, applied)


def _as_json(garbage: Garbage, applied: bool) -> dict[str, object]:
    return {
        "applied": applied,
        "size_bytes": garbage.size,
        "remove": [{**artifact_as_json(judged.artifact), "reason": judged.reason} for judged in garbage.remove],
        "keep": [{**artifact_as_json(judged.artifact), "reason": judged.reason} for judged in garbage.keep],
        "leftovers": [{"path": str(found.path), "size_bytes": found.size, "reason": found.reason} for found in garbage.leftovers],
    }


def _print(garbage: Garbage, root: Path, applied: bool) -> None:
    screen = console()
    kept: dict[str, list[Artifact]] = defaultdict(list)
    for judged in garbage.keep:
        kept[judged.reason].append(judged.artifact)
    if kept:
        rows = [[why, str(len(found)), size(sum(a.size for a in found)), listed([a.id for a in found])] for why, found in kept.items()]
        screen.print(table(["kept, because", "artifacts", "size", "ids"], rows, right=["artifacts", "size"]))
        screen.print()
    going = [[f"{judged.artifact.type_name} {judged.artifact.id}", size(judged.artifact.size), judged.reason] for judged in garbage.remove]
    going += [[str(found.path.relative_to(root)), size(found.size), found.reason] for found in garbage.leftovers]
    if not going:
        screen.print("There is nothing to remove.")
        return
    screen.print(table(["removed" if applied else "would go", "size", "because"], going[:_SHOWN], right=["size"]))
    if len(going) > _SHOWN:
        screen.print(Text(f"and {len(going) - _SHOWN:,} more; all of them: --json", style="dim"))
    what = f"{counted(len(garbage.remove), 'artifact')} and {counted(len(garbage.leftovers), 'leftover')}, {size(garbage.size)}"
    screen.print(f"\nRemoved: {what}." if applied else f"\nWould go: {what}. To remove them, add --apply.")
