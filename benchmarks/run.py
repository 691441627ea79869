"""Measures cauce beside TFX on this machine and prints the ratios.

    python benchmarks/run.py                 everything: half an hour on two cores, and some minutes more the first time
    python benchmarks/run.py --quick         without the repeated data, each run once
    python benchmarks/run.py --only chain    one part: small, large, csv, pictures, spans, chain, commands, questions, pages, scheduler
                                             or training

A full run writes `results/latest.json` and the table in `docs/performance.md`, any other only `.bench/partial.json`.
Ends with 1 if a limit is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pages as measure_pages
import scheduler as measure_scheduler
from jpegs import COUNT
from report import Row, machine, print_table, to_json, update_document
from session import HERE, SPAN_TIMES, SPANS, TIMES, WORK, PipelineRun, Repetition, Session

GIGABYTE = 1e9
CHAIN = 20


def small(session: Session) -> list[Row]:
    """The taxi pipeline on 15,002 rows, first with nothing cached, then again."""
    peers, ours = session.small
    cold = Row(
        "taxi, 15,002 rows, nothing cached",
        "s",
        _seconds([run.cold for run in ours]),
        _seconds([run.cold for run in peers]),
        most_ratio=0.30,
    )
    again, peers_again = ([run.cached for run in side if run.cached] for side in (ours, peers))
    worked = sorted(frozenset().union(*(run.worked for run in again)))
    name = f"the same again ({', '.join(worked)} ran)" if worked else "the same again, nothing changed"
    return [cold, Row(name, "s", _seconds(again), _seconds(peers_again), most_value=0.6, most_ratio=0.12)]


def large(session: Session) -> list[Row]:
    """The taxi pipeline on the repeated rows."""
    peer, ours = session.large
    name = f"taxi x {TIMES} (1,500,200 rows), whole pipeline"
    return [
        Row(name, "s", [ours.cold.whole.seconds], [peer.cold.whole.seconds], most_ratio=0.35),
        Row(
            "the same, memory of all processes",
            "GB",
            [ours.cold.whole.peak_bytes / GIGABYTE],
            [peer.cold.whole.peak_bytes / GIGABYTE],
            most_value=2.5,
        ),
    ]


def csv(session: Session) -> list[Row]:
    """Ingestion of the repeated rows: time within the whole pipeline, memory of a run that does nothing else."""
    peer, ours = session.large
    memory = [run.whole.peak_bytes / GIGABYTE for run in session.ingestion]
    return [
        Row(
            "CsvExampleGen, 1,500,200 rows", "s", [ours.cold.nodes["CsvExampleGen"]], [peer.cold.nodes["CsvExampleGen"]], most_ratio=1 / 12
        ),
        Row("the same alone, memory of all processes", "GB", memory, most_value=1.0),
    ]


def pictures(session: Session) -> list[Row]:
    """50,000 small JPEGs to Examples, each decoded once: at least 8,000 a second."""
    rows = []
    for kind, runs in session.pictures.items():
        seconds = [run.nodes["ImageFolderExampleGen"] for run in runs]
        rows.append(Row(f"ImageFolderExampleGen, 50,000 JPEG from {kind}", "s", seconds, most_value=COUNT / 8000))
    memory = [run.whole.peak_bytes / GIGABYTE for runs in session.pictures.values() for run in runs]
    return [*rows, Row("the same, memory of all processes", "GB", memory, most_value=1.0)]


def chain(session: Session) -> list[Row]:
    """What the engine adds for a node: a chain of 20 against a chain of one, and the whole process by the number of nodes."""
    first, runs = statistics.median(session.chain(1)), session.chain(CHAIN)
    return [
        Row(f"engine overhead per node, chain of {CHAIN}", "ms", [1000 * (run - first) / (CHAIN - 1) for run in runs], most_value=40),
        Row(f"the same, start and end of the process shared by {CHAIN}", "ms", [1000 * run / CHAIN for run in runs]),
    ]


def commands(session: Session) -> list[Row]:
    """Commands that a person waits for."""
    return [
        Row("cauce --help", "s", session.command("--help"), most_value=0.3),
        Row("cauce runs list, 10,000 executions", "s", session.command("runs", "list", root=session.store), most_value=0.8),
    ]


def spans(session: Session) -> list[Row]:
    """A window of 30 spans that moves on by one, against the same window done at once, as far as the full pass of the transform."""
    moved, whole = session.spans
    rows = f"{SPANS} spans of {15_002 * SPAN_TIMES:,} rows"
    share = statistics.median(moved) / statistics.median(whole)
    return [
        Row(f"window of {rows}, nothing kept", "s", whole),
        Row(f"the same window moved on by span {SPANS + 1}", "s", moved),
        Row("the same as a share of the whole", "of it", [share], most_value=0.2),
    ]


def scheduler(session: Session) -> list[Row]:
    """The daemon, with its default settings: how soon it starts a run, and what it takes while there is nothing to do."""
    waited = measure_scheduler.arrivals(WORK / "scheduler")
    at_rest = measure_scheduler.idle(WORK / "scheduler")
    idle = f"daemon idle with {measure_scheduler.SCHEDULES:,} schedules"
    return [
        Row("from a new span appearing to its run, default settings", "s", waited, most_value=2.0),
        Row(idle, "of a core", [at_rest.share], most_value=0.01),
        Row(f"{idle}, memory", "MB", [at_rest.resident / 1e6], most_value=150),
    ]


def training(session: Session) -> list[Row]:
    """The Trainer as it comes against Keras' `fit` by hand and against itself without its watch; and the memory of training on pictures."""
    rows = []
    for kind in ("cnn", "rnn"):
        taken = session.training(kind, "bare", "managed", "unwatched")
        for name, side in (("Keras' fit by hand", "bare"), ("the same without its watch", "unwatched")):
            wall = [each["managed"].seconds / each[side].seconds for each in taken]
            processor = [each["managed"].cpu_seconds / each[side].cpu_seconds for each in taken]
            rows.append(Row(f"{kind.upper()}: a round of the Trainer, as a share of {name}", "of it", wall, most_value=1.03))
            rows.append(Row("the same, processor time", "of it", processor))
    memory = [taken / GIGABYTE for taken in session.training_memory]
    return [*rows, Row("Transform and training on JPEG, memory above the model's own", "GB", memory, most_value=1.5)]


QUESTIONS: dict[str, tuple[str, ...]] = {
    "which runs had AUC over 0.9 with learning rate under 0.001": (
        "runs",
        "list",
        "--where",
        "auc > 0.9 and Node8.learning_rate < 0.001",
        "--sort",
        "-auc",
    ),
    "which executions used this version of a library": ("executions", "list", "--library", "tensorflow=2.16.2"),
    "which executions used this code": ("executions", "list", "--code", "7".zfill(64)),
    "which artifacts are large and unused": ("artifacts", "list", "--unused", "--larger-than", "100MB", "--sort", "-size"),
    "what was a model made from": ("lineage", "48000", "--up"),
    "what was made from a schema that all runs share": ("lineage", "1", "--down"),
    "why did a node run": ("why", "Node9"),
    "what is different between two runs": ("diff", "run-000100", "latest"),
    "what is different between two models": ("diff", "44950", "49950"),
    "search for a digest": ("search", "44444".zfill(64)),
    "a run as OpenLineage events": ("lineage", "export", "latest"),
}
"""Questions to a store of 10,000 executions and 50,000 artifacts, as commands."""


def questions(session: Session) -> list[Row]:
    """The questions that lineage, comparison and search answer, each as a whole process."""
    return [Row(f"{name}?", "s", session.command(*command, root=session.store), most_value=1.0) for name, command in QUESTIONS.items()]


def pages(session: Session) -> list[Row]:
    """The pages of `cauce ui` on the same store: the first byte, and the whole page in a browser where there is one."""
    found = measure_pages.visits(session.cauce, session.store, 4 * session.repetitions)
    rows = [Row(f"page: {name}, first byte", "s", visit.first_byte, most_value=0.2) for name, visit in found.items()]
    rows += [Row(f"page: {name}, shown in Chromium", "s", visit.shown, most_value=1.0) for name, visit in found.items() if visit.shown]
    return [*rows, Row("from `cauce ui` to its first page", "s", [measure_pages.first_visit(session.cauce, session.store)])]


PARTS: dict[str, Callable[[Session], list[Row]]] = {
    part.__name__: part for part in (small, large, csv, pictures, spans, chain, commands, questions, pages, scheduler, training)
}
LONG = ("large", "csv", "spans")


def _seconds(runs: list[PipelineRun]) -> list[float]:
    return [run.whole.seconds for run in runs]


def _runs(session: Session, names: list[str]) -> dict[str, Any]:
    """Returns every run of a pipeline that was measured: time, processor time, memory, seconds by node."""
    sides: dict[str, tuple[list[Repetition], list[Repetition]]] = {}
    if "small" in names:
        sides["small"] = session.small
    if {"large", "csv"} & set(names):
        peer, ours = session.large
        sides["large"] = [peer], [ours]
    return {name: {"tfx": list(map(asdict, peers)), "cauce": list(map(asdict, ours))} for name, (peers, ours) in sides.items()}


def main() -> int:
    """Measures what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each run once, and not those that take minutes")
    parser.add_argument("--only", metavar="NAME", choices=PARTS, help=f"one part: {', '.join(PARTS)}")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else [name for name in PARTS if not (arguments.quick and name in LONG)]
    facts = machine(HERE / "peer" / "constraints.txt")
    session = Session(1 if arguments.quick else 3, lambda line: print(f"... {line}", file=sys.stderr, flush=True))
    rows = [row for name in names for row in PARTS[name](session)]
    full = not (arguments.quick or arguments.only)
    results = HERE / "results" / "latest.json" if full else WORK / "partial.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(to_json(rows, facts, _runs(session, names)), encoding="utf-8")
    if full:
        update_document(HERE.parent / "docs" / "performance.md", rows, facts)
    print_table(rows, facts)
    print(f"Written to {results}", file=sys.stderr)
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
