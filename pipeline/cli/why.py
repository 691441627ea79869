"""`cauce why`."""

from __future__ import annotations

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pipeline.cli.common import console, json_option, open_store, print_json, store_options
from pipeline.errors import UsageError
from pipeline.lineage.explanation import Explanation, Step
from pipeline.lineage.ledger import Ledger
from pipeline.records import MANUAL_RUN

_PLAIN = ("it", "ran", "runs", "failed", "blocked the run")
"""Roles that say no more than the state."""
_STYLES = {"failed": "red", "blocked": "red", "cached": "cyan", "selected": "cyan", "done": "green"}


@click.command()
@click.argument("words", metavar="[RUN] NAME", nargs=-1, required=True)
@store_options
@json_option
def why(words: tuple[str, ...], root: str | None, metadata: str | None, as_json: bool) -> None:
    """Say why a node ran again or not, failed, blocked or was skipped; why a model was blessed and pushed, or not.

    NAME is a node (of the latest run that has it, or of RUN), a run or latest, the number of an artifact, execution:N, latest:TYPE, or the
    path of a served model or of a file in an artifact.

    \b
    Examples:
      cauce why Trainer
      cauce why 20260131-2359 Pusher
      cauce why serving/taxi/3
    """
    if len(words) > 2:
        raise UsageError(f"Expected [RUN] NAME. Received: {' '.join(words)}", hint="For example: cauce why latest Trainer")
    opened = open_store(root, metadata)
    ledger = Ledger(opened.store, opened.storage)
    name = words[-1] if len(words) == 1 else f"{ledger.run(words[0]).id}/{words[1]}"
    found = ledger.why(name)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: Explanation) -> None:
    screen = console()
    screen.print(Text(found.question, style="bold"))
    for line in found.answer:
        screen.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    if len(found.steps) > 1 or any(step.verdict or step.error for step in found.steps):
        screen.print()
        for step in found.steps:
            _print_step(screen, step)
    screen.print(Text(f"\nnext: {found.next}", style="dim"))


def _print_step(screen: Console, step: Step) -> None:
    state = step.verdict or step.state
    by = "  by hand" if step.run == MANUAL_RUN else f"  in run {step.run}"
    title = Text.assemble((step.node, "bold"), "  ", (state, _STYLES.get(step.state, "")), by)
    if step.role not in _PLAIN and not step.role.startswith(("decided", "was ")):
        title.append(f"  ({step.role})", style="dim")
    screen.print(title)
    decided = (*step.verdict_reasons, *([step.error] if step.error else ()))
    for reason in dict.fromkeys((*decided, *step.reasons)):
        for line in reason.splitlines():
            screen.print(Padding(Text(line, style="" if reason in decided else "dim"), (0, 0, 0, 2), expand=False))
