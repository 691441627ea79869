"""Plays a year of bikes: month after month arrives, one of them damaged, and a schedule answers each. Takes minutes.

    python examples/bikes/play.py /tmp/bikes
    python examples/bikes/play.py /tmp/bikes --months 2012-01..2012-12 --damaged 2012-04

All that is made lies in the folder, which must be new, empty, or of an earlier play: that goes on where it ended. Nothing is deleted.
It types what you would type: `cut_spans.py` puts a month there, `cauce schedule run --once` does what is due.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "data/bikes/hour.csv"
SCHEDULE = "bikes"
SPANS = "months/{YYYY}-{MM}/v{VERSION}/*.csv"
TOLD = ("ExampleValidator", "RetrainingPolicy", "Evaluator", "Pusher")
WIDTH, MOST = 140, 400
DAMAGED = "2011-07"


@dataclass(frozen=True)
class Play:
    """What is played, and where.

    Attributes:
        folder: Where all files are made.
        months: The months that arrive, in order.
        damaged: The one that is damaged first, and corrected then; empty for none.
        settings: Parameters of nodes, as for `cauce run --set`.
    """

    folder: Path
    months: tuple[str, ...]
    damaged: str = ""
    settings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Plays it."""
        self._add_schedule()
        for month in self.months:
            if month == self.damaged:
                self._arrive(month, 1, self._damaged_data(), "the temperature in degrees Celsius, where 0 to 1 was agreed")
            self._arrive(month, 2 if month == self.damaged else 1, DATA, "corrected" if month == self.damaged else "")

    def cauce(self, *words: str) -> str:
        """Runs `cauce WORDS` and returns what it prints."""
        return self._command([sys.executable, "-P", "-m", "pipeline", *words])

    def _command(self, words: list[str]) -> str:
        done = subprocess.run(
            words, cwd=REPOSITORY, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"This failed with {done.returncode}: {shlex.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _add_schedule(self) -> None:
        print(f"$ export CAUCE_ROOT={shlex.quote(self.environment['CAUCE_ROOT'])}")
        known = {schedule["name"] for schedule in json.loads(self.cauce("schedule", "list", "--json"))}
        if SCHEDULE in known:
            print(f"The schedule '{SCHEDULE}' is there already; what was played is not played again.")
            return
        paths = [f"CsvExampleGen.input={self.folder / SPANS}", f"Pusher.destination={self.folder / 'serving'}"]
        given = [word for setting in (*paths, *self.settings) for word in ("--set", setting)]
        tell = shlex.join(["tee", "-a", str(self.folder / "notices.jsonl")])
        told = ["--notify", f"failed,blocked,recovered command {shlex.quote(tell)}"]
        words = ["schedule", "add", SCHEDULE, "examples/bikes/continuous.py", "--on-span", "input", *told, *given]
        print(f"$ cauce {' '.join(map(_quoted, words))}")
        self.cauce(*words)

    def _damaged_data(self) -> Path:
        """Writes all rows as an exporter delivers them that does not scale the temperature."""
        file = self.folder / "unscaled.csv"
        with DATA.open(newline="", encoding="utf-8") as source, file.open("w", newline="", encoding="utf-8") as target:
            rows = csv.DictReader(source)
            writer = csv.DictWriter(target, list(rows.fieldnames or ()), lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "temp": f"{float(row['temp']) * 47 - 8:.1f}"} for row in rows)
        return file

    def _arrive(self, month: str, version: int, data: Path, remark: str) -> None:
        """Lets a version of a month arrive, and the schedule do what is due."""
        target = f"{self.folder}/months/{{YYYY}}-{{MM}}/v{version}/hour.csv"
        options = ["--column", "dteday", "--format", "%m/%d/%y", "--to", target, "--first", month, "--last", month]
        cut = self._command([sys.executable, "examples/cut_spans.py", str(data), *options])
        seen = {tick["id"]: tick["state"] for tick in self._history()}
        self.cauce("schedule", "run", "--once")
        print(f"\n{month}, version {version}{f': {remark}' if remark else ''}")
        new = [tick for tick in self._history() if seen.get(tick["id"]) != tick["state"]]
        nothing = "it was here before, and gave no tick" if month in cut else f"{DATA.name} has no rows of this month"
        for line in [line for tick in new for line in _told(tick)] or [nothing]:
            short = textwrap.shorten(line, MOST, placeholder=" ...")
            print(textwrap.fill(short, WIDTH, initial_indent="  ", subsequent_indent="    "), flush=True)

    def _history(self) -> list[dict[str, Any]]:
        ticks: list[dict[str, Any]] = json.loads(self.cauce("schedule", "history", SCHEDULE, "--json"))
        return ticks


def _quoted(word: str) -> str:
    """Returns a word as a person quotes it for a shell."""
    return f'"{word}"' if "'" in word and not set('"$`\\!') & set(word) else shlex.quote(word)


def _told(tick: dict[str, Any]) -> Iterator[str]:
    """Yields what became of a tick, and what the nodes decided."""
    attempt = tick["attempts"][-1] if tick["attempts"] else {"verdicts": {}, "seconds": None}
    took = f" in {attempt['seconds']:.0f} s" if attempt["seconds"] else ""
    yield f"{tick['cause']}: {tick['state']}{took}" + (f", run {tick['run']}" if tick["run"] else "")
    for node in TOLD:
        verdict = attempt["verdicts"].get(node)
        if verdict is not None:
            reasons = [reason for reason in verdict["reasons"] if not reason.startswith("The policy: ")]
            yield f"{node}: {verdict['kind']}. {' '.join(reasons)}"
    if tick["state"] == "failed":
        yield str(tick["reason"])


def months_of(text: str) -> tuple[str, ...]:
    """Returns the months of `2011-01..2011-12`."""
    first, _, last = text.partition("..")
    ends = [time.strptime(month, "%Y-%m") for month in (first, last or first)]
    numbers = range(ends[0].tm_year * 12 + ends[0].tm_mon - 1, ends[1].tm_year * 12 + ends[1].tm_mon)
    if not numbers:
        raise ValueError(text)
    return tuple(f"{number // 12}-{number % 12 + 1:02}" for number in numbers)


def _months(text: str) -> tuple[str, ...]:
    try:
        return months_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected months such as 2011-01..2011-12, received {text!r}") from None


def _folder(text: str) -> Path:
    folder = Path(text).resolve()
    if folder.exists() and not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is a file")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "cauce_root" / "metadata.db").is_file():
        raise argparse.ArgumentTypeError(f"{folder} holds other files; give a new folder")
    return folder


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=_folder, help="where all files are made: a new folder, or that of an earlier play")
    parser.add_argument("--months", type=_months, default="2011-01..2011-12", metavar="FIRST..LAST", help="default: 2011-01..2011-12")
    parser.add_argument("--damaged", metavar="MONTH", help=f"arrives damaged, then corrected (default: {DAMAGED}, if it is played)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NODE.PARAMETER=VALUE", help="as for cauce run")
    given = parser.parse_args()
    damaged = given.damaged if given.damaged is not None else DAMAGED if DAMAGED in given.months else ""
    if damaged and damaged not in given.months:
        parser.error(f"--damaged {damaged} is none of the months {given.months[0]} to {given.months[-1]}; '' for none")
    given.folder.mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CAUCE_")}
    environment = {**own, "CAUCE_ROOT": str(given.folder / "cauce_root")}
    begun = time.monotonic()
    try:
        Play(given.folder, given.months, damaged, tuple(given.settings), environment).run()
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on.", file=sys.stderr)
        return 130
    print(f"\n{len(given.months)} months in {(time.monotonic() - begun) / 60:.1f} minutes")
    print("next: cauce schedule history; cauce models list; cauce why latest")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
