"""The year of bikes, a quarter of it: months arrive, one is damaged and corrected, and a schedule answers each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Said, cauce

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(700)]

REPOSITORY = Path(__file__).parents[2]
PLAY = [sys.executable, str(REPOSITORY / "examples/bikes/play.py")]


@dataclass(frozen=True)
class Played:
    """A folder in which June to August of 2011 were played, July damaged first.

    Attributes:
        folder: The folder.
        said: What was printed.
    """

    folder: Path
    said: Said

    @cached_property
    def ticks(self) -> list[dict[str, Any]]:
        """What became of each month."""
        ticks: list[dict[str, Any]] = self.cauce("schedule", "history", "--json").json("schedule-history")
        return ticks

    def cauce(self, *words: str) -> Said:
        """Runs `cauce WORDS` on what was played."""
        return cauce(*words, root=self.folder / "cauce_root")

    def verdict(self, place: int, node: str) -> dict[str, Any]:
        """Returns what a node decided for a tick."""
        verdict: dict[str, Any] = self.ticks[place]["attempts"][-1]["verdicts"][node]
        return verdict

    def examples(self, place: int) -> list[tuple[str, int]]:
        """Returns name and version of each span that the run of a tick has read."""
        nodes = self.cauce("runs", "show", self.ticks[place]["run"], "--json").json("runs-show")["nodes"]
        made = next(node for node in nodes if node["id"] == "CsvExampleGen")["outputs"]["examples"]
        shown = [self.cauce("artifacts", "show", str(number), "--json").json("artifacts-show") for number in made]
        return [(one["properties"]["span_name"], one["properties"]["version"]) for one in shown]


def play(folder: Path, *options: str) -> Said:
    words = [*PLAY, str(folder), "--months", "2011-06..2011-08", "--damaged", "2011-07", *options]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CAUCE_", "COLUMNS"))}
    done = subprocess.run(
        words,
        env={**own, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("a year") / "bikes"
    said = play(folder)
    assert said.code == 0, f"{said.out}{said.err}"
    return Played(folder, said)


def test_each_month_gives_a_tick_and_the_damaged_one_is_blocked(played: Played) -> None:
    assert [(tick["cause"], tick["state"]) for tick in played.ticks] == [
        ("span 2011-06 is new, version 1", "done"),
        ("span 2011-07 is new, version 1", "blocked"),
        ("span 2011-07 is new, version 2", "done"),
        ("span 2011-08 is new, version 1", "done"),
    ]


def test_damaged_month_is_named_and_nothing_is_made_of_it(played: Played) -> None:
    reason = played.ticks[1]["reason"]
    assert "'temp'" in reason
    assert "Out-of-range values" in reason
    attempt = played.ticks[1]["attempts"][-1]
    assert (attempt["blessed"], attempt["pushed"]) == (None, None)
    nodes = played.cauce("runs", "show", attempt["run"], "--json").json("runs-show")["nodes"]
    assert {node["state"] for node in nodes if node["id"] in ("RetrainingPolicy", "Transform", "Trainer", "Evaluator", "Pusher")} == {
        "not run"
    }


def test_command_hears_of_the_block_and_of_the_recovery(played: Played) -> None:
    notices = [json.loads(line) for line in (played.folder / "notices.jsonl").read_text().splitlines()]
    assert [(notice["event"], notice["run"]) for notice in notices] == [
        ("blocked", played.ticks[1]["run"]),
        ("recovered", played.ticks[2]["run"]),
    ]
    assert "'temp'" in notices[0]["reason"]


def test_corrected_version_is_what_later_windows_hold(played: Played) -> None:
    assert played.examples(2) == [("2011-06", 1), ("2011-07", 2)]
    assert played.examples(3) == [("2011-06", 1), ("2011-07", 2), ("2011-08", 1)]


def test_corrected_month_is_compared_with_the_last_valid_one(played: Played) -> None:
    assert "Compared with span 2011-06: " in " ".join(played.verdict(2, "ExampleValidator")["reasons"])
    assert "Compared with span 2011-07: " in " ".join(played.verdict(3, "ExampleValidator")["reasons"])


def test_champion_and_challenger_are_judged_on_the_same_newest_rows(played: Played) -> None:
    judged = played.verdict(2, "Evaluator")
    checked = " ".join(played.verdict(2, "ChampionCheck")["reasons"])
    rows = checked.partition(" on ")[2].partition(" rows of span 2011-07: ")[0]
    assert f"on the same {rows} rows" in " ".join(judged["reasons"])
    assert played.ticks[2]["attempts"][-1]["pushed"] is (judged["kind"] == "blessed") is True


def test_month_that_is_as_the_champion_expects_is_not_trained_on(played: Played) -> None:
    decided = played.verdict(3, "RetrainingPolicy")
    assert decided["kind"] == "no retraining"
    assert "not worse than" in decided["reasons"][0]
    attempt = played.ticks[3]["attempts"][-1]
    assert (attempt["state"], attempt["blessed"], attempt["pushed"]) == ("done", None, None)


def test_what_is_served_is_what_was_pushed(played: Played) -> None:
    pushed = [tick["run"] for tick in played.ticks if tick["attempts"][-1]["pushed"]]
    listed = played.cauce("models", "list", "--json").json("models-list")
    assert [model["run"] for model in listed] == pushed
    assert len(list((played.folder / "serving").glob("[0-9]*"))) == len(pushed)


def test_served_versions_keep_the_metrics_that_they_were_blessed_with(played: Played) -> None:
    listed = played.cauce("models", "list", "--json").json("models-list")
    blessed = [place for place, tick in enumerate(played.ticks) if tick["attempts"][-1]["pushed"]]
    for place, model in zip(blessed, listed, strict=True):
        assert f"r2_score on all rows is {model['metrics']['r2_score']:.5g} " in " ".join(played.verdict(place, "Evaluator")["reasons"])


def test_why_tells_of_the_served_model_and_of_the_month_that_was_blocked(played: Played) -> None:
    served = played.cauce("why", str(played.folder / "serving" / "1"))
    assert served.code == 0, served.err
    assert "Why was this model pushed" in served.out
    blocked = played.cauce("why", played.ticks[1]["run"], "ExampleValidator")
    assert "Out-of-range values" in blocked.out


def test_only_the_corrected_month_lives_on(played: Played) -> None:
    damaged, corrected = (played.folder / "months" / "2011-07" / version / "hour.csv" for version in ("v1", "v2"))
    made = {
        file: played.cauce("lineage", "show", str(file), "--down", "--json").json("lineage-show")["down"]["artifacts"]
        for file in (damaged, corrected)
    }
    types = {file: {artifact["type"] for artifact in found} for file, found in made.items()}
    assert "ExampleAnomalies" in types[damaged]
    assert "Model" not in types[damaged]
    assert "Model" in types[corrected]


def test_second_play_goes_on_where_the_first_one_ended(played: Played) -> None:
    before = {file: file.stat().st_mtime_ns for file in (played.folder / "months").rglob("*")}
    again = play(played.folder, "--months", "2011-07..2011-07")
    assert again.code == 0, again.err
    assert again.out.count("it was here before, and gave no tick") == 2
    assert len(json.loads(played.cauce("schedule", "history", "--json").out)) == 4
    assert {file: file.stat().st_mtime_ns for file in (played.folder / "months").rglob("*")} == before


def test_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    said = play(tmp_path)
    assert said.code == 2
    assert "holds other files; give a new folder" in said.err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("months", ["2011-13..2012-01", "2011-08..2011-06", "june"])
def test_months_that_are_none_are_refused_before_anything_is_made(tmp_path: Path, months: str) -> None:
    said = play(tmp_path / "new", "--months", months)
    assert said.code == 2
    assert f"expected months such as 2011-01..2011-12, received '{months}'" in said.err
    assert not (tmp_path / "new").exists()


def test_damaged_month_must_be_played(tmp_path: Path) -> None:
    said = play(tmp_path / "new", "--damaged", "2012-01")
    assert said.code == 2
    assert "--damaged 2012-01 is none of the months 2011-06 to 2011-08" in said.err
