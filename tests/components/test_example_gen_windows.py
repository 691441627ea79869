"""Windows of spans: what is read, what is reused, what is waited for, and what is said of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from components import CsvExampleGen, StatisticsGen
from components.example_gen import known_files
from components.example_gen.spans import available
from components.example_gen.windows import ChosenSpans, SpanChoice, choose_spans
from pipeline import hashing
from pipeline.artifacts import Examples
from pipeline.component import Component, Input, Output
from pipeline.errors import DataError, DefinitionError, UsageError
from pipeline.reports import input_files
from tests.cli import cauce
from tests.fakes import Numbers
from tests.fakes import write as write_numbers
from tests.project import Project, Ran

PATTERN = "span-{SPAN}/v{VERSION}/*.csv"


def put(folder: Path, span: int, version: int = 1, *, rows: int = 30, marker: bool = True) -> Path:
    """Writes a version of a span; its rows tell span and version."""
    place = folder / f"span-{span}" / f"v{version}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "rows.csv").write_text("n,text\n" + "".join(f"{span * 1000 + row},v{version}\n" for row in range(rows)))
    if marker:
        (place / "_SUCCESS").touch()
    return place


class Rows(Component):
    """Writes how many rows each of its inputs has."""

    isolated = False

    def execute(self, context, examples: Input[list[Examples]], counts: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
        write_numbers(counts, [sum(artifact.record_counts.values()) for artifact in examples])


class One(Component):
    """Takes one span."""

    isolated = False

    def execute(self, context, examples: Input[Examples], span: Output[Numbers]) -> None:  # type: ignore[no-untyped-def]
        write_numbers(span, [int(examples.properties["span"])])


def window(size: int = 3, **parameters: Any) -> CsvExampleGen:
    return CsvExampleGen(**{"input": PATTERN, "window": size, "ready": "_SUCCESS", **parameters})


def spans(ran: Ran) -> list[tuple[int, int, int]]:
    """Returns id, span and version of each artifact."""
    found = ran.result["CsvExampleGen"].outputs["examples"]
    return [(artifact.id or 0, int(artifact.properties["span"]), int(artifact.properties["version"])) for artifact in found]


def choose(folder: Path, pattern: str = PATTERN, **choice: Any) -> ChosenSpans:
    return choose_spans(pattern, SpanChoice(**choice), folder)


def test_moved_window_reads_only_the_new_span(project: Project) -> None:
    for span in (1, 2, 3):
        put(project.folder, span)
    first = project.run(Rows(window()))
    assert first.reasons("CsvExampleGen") == ("it has not run before", "spans 1-3 are new")
    put(project.folder, 4, rows=40)
    second = project.run(Rows(window()))
    assert second.reasons("CsvExampleGen") == ("span 4 is new", "spans 2-3 are reused")
    assert spans(second)[:2] == spans(first)[1:]
    assert [span for _, span, _ in spans(second)] == [2, 3, 4]
    execution = project.executions(second.result.run)["CsvExampleGen"]
    assert execution.properties["rows_read"] == 40
    assert project.executions(second.result.run)["Rows"].state.succeeded
    third = project.run(Rows(window()))
    assert third.states == {"CsvExampleGen": "cached", "Rows": "cached"}
    assert third.reasons("CsvExampleGen") == (f"nothing changed since run {second.result.run}",)


def test_file_of_a_span_leads_to_its_examples_and_an_execution_names_the_files_of_all_spans_of_its_window(project: Project) -> None:
    for span in (1, 2, 3):
        put(project.folder, span)
    first = project.run(window(3))
    put(project.folder, 4)
    second = project.run(window(3))
    read = [input_files(project.executions(ran.result.run)["CsvExampleGen"]) for ran in (first, second)]
    assert [sorted(files) for files in read] == [[f"span-{span}/v1/rows.csv" for span in window_] for window_ in ((1, 2, 3), (2, 3, 4))]
    known = {span: number for ran in (first, second) for number, span, _ in spans(ran)}
    for span, number in known.items():
        said = cauce("lineage", "show", project.folder / f"span-{span}/v1/rows.csv", "--json", root=project.root)
        assert [root["id"] for root in said.json("lineage-show")["roots"]] == [number]


def test_corrected_version_makes_exactly_the_windows_that_contain_it_stale(project: Project) -> None:
    for span in (1, 2, 3, 4):
        put(project.folder, span)
    project.run(Rows(window(2, span=2, id="old")), Rows(window(2, id="new"), id="Rows2"))
    put(project.folder, 2, 2)
    old, new = window(2, span=2, id="old"), window(2, id="new")
    ran = project.run(Rows(old), Rows(new, id="Rows2"))
    assert ran.states == {"old": "done", "Rows": "done", "new": "cached", "Rows2": "cached"}
    assert ran.reasons("old") == ("span 2 changed: 1 file, 0.0 MB, version 2, was 1 file, 0.0 MB, version 1", "span 1 is reused")


def test_content_corrected_in_place_is_read_again(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    project.run(window(2))
    file = project.folder / "span-1/v1/rows.csv"
    file.write_text(file.read_text().replace("v1", "w1"))
    assert project.run(window(2)).reasons("CsvExampleGen") == ("span 1 changed", "span 2 is reused")


def test_span_read_alone_is_reused_by_a_window_and_the_other_way_round(project: Project) -> None:
    for span in (1, 2, 3):
        put(project.folder, span)
    alone = project.run(CsvExampleGen(input=PATTERN, span=2))
    both = project.run(window(3))
    assert both.reasons("CsvExampleGen") == ("spans 1, 3 are new", "span 2 is reused")
    assert spans(alone)[0] in spans(both)
    again = project.run(CsvExampleGen(input=PATTERN, span=3))
    assert (again.state("CsvExampleGen"), again.reasons("CsvExampleGen")) == ("cached", ("span 3 is reused",))
    assert spans(again) == spans(both)[2:]
    smaller = project.run(window(2))
    assert (smaller.state("CsvExampleGen"), smaller.reasons("CsvExampleGen")) == ("cached", ("spans 2-3 are reused",))
    assert project.run(window(2)).reasons("CsvExampleGen")[0].startswith("spans 2-3")


def test_changed_parameter_reads_all_spans_again_and_says_why(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    project.run(window(2))
    changed = project.run(window(2, splits={"train": 1, "eval": 1}))
    assert changed.reasons("CsvExampleGen") == (
        "splits is {'train': 1, 'eval': 1}, was {'train': 2, 'eval': 1}",
        "spans 1-2 are done again",
    )


def test_removed_result_of_one_span_is_made_again_alone(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    first = project.run(window(2))
    (project.store.artifacts([spans(first)[0][0]])[0].path / "summary.json").unlink()
    again = project.run(window(2))
    assert again.reasons("CsvExampleGen")[1] == "span 2 is reused"
    assert (spans(again)[0][0] != spans(first)[0][0], spans(again)[1]) == (True, spans(first)[1])


def test_plan_says_which_spans_would_be_read_and_writes_nothing(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    project.run(window(2))
    put(project.folder, 3)
    put(project.folder, 4, marker=False)
    decision = project.plan(window(2))["CsvExampleGen"]
    assert decision.reasons == (
        "span 3 is new",
        "span 2 is reused",
        "span 4 is not complete: no _SUCCESS in span-4/v1; span 3 taken",
    )
    assert [portion.as_json()["action"] for portion in decision.portions] == ["reuse", "run"]
    assert len(project.published()) == 2


def test_span_of_a_run_is_told_from_outside(project: Project) -> None:
    for span in (1, 2, 3):
        put(project.folder, span)
    assert [span for _, span, _ in spans(project.run(window(2), span="2"))] == [1, 2]
    assert [span for _, span, _ in spans(project.run(window(2), span="1..3"))] == [1, 2, 3]
    with pytest.raises(UsageError, match="'soon' is no span of"):
        project.run(window(2), span="soon")
    project.write("plain.csv", "n\n1\n")
    with pytest.raises(UsageError, match="No node of pipeline 'fake' reads spans"):
        project.run(CsvExampleGen(input="plain.csv"), span="2")


def test_one_span_of_a_window_is_taken_by_name(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    with pytest.raises(DefinitionError, match=r"takes one Examples. Received: 'CsvExampleGen.examples', which has several.\n.*newest\(\)"):
        One(window(2))
    examples = window(2)
    ran = project.run(One(examples.examples.newest()), Rows(examples))
    assert (ran.output("One").path / "numbers.json").read_text() == "[2]"
    assert (examples.newest().name, examples.newest().last) == ("examples", 1)
    with pytest.raises(DefinitionError, match="expects 1 or more"):
        examples.newest(0)
    with pytest.raises(DefinitionError, match="has 2 outputs: statistics, span_statistics"):
        StatisticsGen(examples).newest()


def test_range_from_outside_into_a_node_that_takes_one_is_refused(project: Project) -> None:
    for span in (1, 2):
        put(project.folder, span)
    ran = project.run(One(CsvExampleGen(input=PATTERN)), span="1..2")
    assert ran.states == {"CsvExampleGen": "done", "One": "failed"}
    assert "input 'examples' takes one Examples. Received: 2." in str(ran.result["One"].error)


def test_incomplete_span_is_not_taken(tmp_path: Path) -> None:
    put(tmp_path, 11)
    put(tmp_path, 12, marker=False)
    chosen = choose(tmp_path, ready="_SUCCESS")
    assert chosen.names == ("11",)
    assert chosen.remarks == ("span 12 is not complete: no _SUCCESS in span-12/v1; span 11 taken",)
    with pytest.raises(DataError, match=r"span 12 of .* is not complete: no _SUCCESS in span-12/v1"):
        choose(tmp_path, ready="_SUCCESS", span=12)


def test_span_is_taken_when_its_files_were_left_alone_for_long_enough(tmp_path: Path) -> None:
    put(tmp_path, 1)
    place = put(tmp_path, 2)
    now = time.time()
    os.utime(tmp_path / "span-1/v1/rows.csv", (now - 100, now - 100))
    os.utime(tmp_path / "span-1/v1/_SUCCESS", (now - 100, now - 100))
    chosen = choose(tmp_path, ready=60)
    assert chosen.names == ("1",)
    assert chosen.remarks[0].startswith("span 2 is not complete: written ")
    assert chosen.remarks[0].endswith(" s ago, and must be quiet for 60 s; span 1 taken")
    os.utime(place / "rows.csv", (now - 61, now - 61))
    assert choose(tmp_path, ready=60).names == ("2",)


def test_incomplete_version_leaves_the_one_before_it(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 1, 2, marker=False)
    chosen = choose(tmp_path, ready="_SUCCESS")
    assert chosen.inputs[0].version == 1
    assert chosen.remarks == ("version 2 of span 1 is not complete: no _SUCCESS in span-1/v2; version 1 taken",)


def test_no_complete_span_is_an_error_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, 1, marker=False)
    with pytest.raises(DataError, match=r"No span of .* is complete. The latest, span 1, version 1: no _SUCCESS in span-1/v1"):
        choose(tmp_path, ready="_SUCCESS")


def test_marker_is_no_data_and_may_be_a_pattern_of_its_own(tmp_path: Path) -> None:
    for span in (1, 2):
        (tmp_path / f"trips-{span}.csv").write_text("n\n1\n")
    (tmp_path / "trips-1.done").touch()
    chosen = choose(tmp_path, "trips-{SPAN}.*", ready="trips-{SPAN}.done")
    assert ([file.name for file in chosen.inputs[0].files], chosen.remarks) == (
        ["trips-1.csv"],
        ("span 2 is not complete: nothing matches 'trips-{SPAN}.done'; span 1 taken",),
    )
    with pytest.raises(DefinitionError, match=r"names the span in its files.\nName the marker of each span"):
        CsvExampleGen(input="trips-{SPAN}.csv", ready="_SUCCESS")


def test_missing_span_inside_a_window_is_refused_or_allowed(tmp_path: Path) -> None:
    for span in (1, 2, 5):
        put(tmp_path, span)
    with pytest.raises(
        DataError, match=r"has no span 3; 1 more are missing.\nIt has: 1, 2, 5. Write it, or go on without it: missing_spans="
    ):
        choose(tmp_path, window=4)
    with pytest.raises(DataError, match="has no span 9; 3 more are missing"):
        choose(tmp_path, window=5, span=9)
    chosen = choose(tmp_path, window=4, missing="allow")
    assert (chosen.names, chosen.remarks) == (("2", "5"), ("span 3 is missing (allowed)", "span 4 is missing (allowed)"))


def test_young_window_is_short_and_says_so(tmp_path: Path) -> None:
    put(tmp_path, 7)
    chosen = choose(tmp_path, window=30)
    assert (chosen.names, chosen.remarks) == (("7",), ("the window has 1 of 30 spans: there is none before span 7",))


@pytest.mark.parametrize(
    ("span", "expected"),
    [("2..3", ["2", "3"]), ("..2", ["1", "2"]), ("3..", ["3", "4"]), ("-2..-1", ["3", "4"]), ("-3", ["2"]), ("2 .. 2", ["2"])],
)
def test_range_is_written_with_two_dots(tmp_path: Path, span: str, expected: list[str]) -> None:
    for number in (1, 2, 3, 4):
        put(tmp_path, number)
    assert list(choose(tmp_path, span=span).names) == expected


def test_ranges_that_cannot_be_are_refused(tmp_path: Path) -> None:
    put(tmp_path, 1)
    with pytest.raises(DataError, match="has 0 spans"):
        choose(tmp_path, span="3..1")
    with pytest.raises(DataError, match="has no span 2"):
        choose(tmp_path, span="1..2")
    with pytest.raises(DataError, match="no span -2 counted from the latest: there are 1"):
        choose(tmp_path, span="-2..")
    with pytest.raises(DefinitionError, match="'x' is no span"):
        CsvExampleGen(input=PATTERN, span="1..x")
    with pytest.raises(DefinitionError, match="window must be from 1"):
        CsvExampleGen(input=PATTERN, window=0)
    with pytest.raises(DefinitionError, match="missing_spans must be one of"):
        CsvExampleGen(input=PATTERN, missing_spans="ignore")
    with pytest.raises(DefinitionError, match=r"window=3 is given, and input has no {SPAN}"):
        CsvExampleGen(input="a.csv", window=3)


def test_spans_named_after_times_are_asked_for_by_time(tmp_path: Path) -> None:
    for month in ("2023-11", "2023-12", "2024-01"):
        (tmp_path / month).mkdir()
        (tmp_path / month / "a.csv").write_text("n\n1\n")
    assert choose(tmp_path, "{YYYY}-{MM}/*.csv", window=2).names == ("2023-12", "2024-01")
    assert choose(tmp_path, "{YYYY}-{MM}/*.csv", span="2023-11..2023-12").names == ("2023-11", "2023-12")
    with pytest.raises(DataError, match="has no span 2024-02"):
        choose(tmp_path, "{YYYY}-{MM}/*.csv", span="2024-02")
    (tmp_path / "h").mkdir()
    for hour in ("2024022923", "2024030100"):
        (tmp_path / "h" / f"{hour}.csv").write_text("n\n1\n")
    chosen = choose(tmp_path, "h/{YYYY}{MM}{DD}{HH}.csv", window=2)
    assert chosen.names == ("2024-02-29T23", "2024-03-01T00")
    assert chosen.inputs[1].span - chosen.inputs[0].span == 1


def test_available_spans_tell_a_scheduler_what_changed_without_reading(tmp_path: Path) -> None:
    assert available(PATTERN, tmp_path) == []
    put(tmp_path, 1)
    place = put(tmp_path, 2, marker=False)
    first, second = available(PATTERN, tmp_path, ready="_SUCCESS")
    assert (str(first), first.ready, second.ready, second.reason) == ("span 1, version 1", True, False, "no _SUCCESS in span-2/v1")
    (place / "more.csv").write_text("n,text\n1,a\n")
    changed = available(PATTERN, tmp_path, ready="_SUCCESS")
    assert (changed[0].fingerprint == first.fingerprint, changed[1].fingerprint == second.fingerprint) == (True, False)
    assert (changed[1].size, len(changed[1].files)) == (second.size + 11, 2)


def test_span_that_a_split_lacks_is_not_complete(tmp_path: Path) -> None:
    for name in ("train-1.csv", "eval-1.csv", "train-2.csv"):
        (tmp_path / name).write_text("n\n1\n")
    found = available({"train": "train-{SPAN}.csv", "eval": "eval-{SPAN}.csv"}, tmp_path)
    assert [(span.name, span.ready, span.reason) for span in found] == [
        ("1", True, "it has files"),
        ("2", False, "no file matches 'eval-{SPAN}.csv' of split 'eval'"),
    ]


def test_files_of_old_spans_are_looked_at_and_not_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_files, "_SETTLED_NS", -(10**10))  # else the test waits two seconds
    read: list[str] = []

    def digest_file(path: Path) -> str:
        read.append(path.parts[-3])
        return hashing.digest_file(path)

    for span in (1, 2, 3):
        put(project.folder, span)
    project.run(window(3))
    monkeypatch.setattr(known_files, "digest_file", digest_file)
    put(project.folder, 4)
    assert project.plan(window(3))["CsvExampleGen"].reasons == ("span 4 is new", "spans 2-3 are reused")
    assert read == ["span-4"]
    file = project.folder / "span-3/v1/rows.csv"
    times = file.stat()
    file.write_text(file.read_text().replace("v1", "w1"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # a change that keeps size and time of modification
    read.clear()
    assert project.plan(window(3))["CsvExampleGen"].reasons == ("span 3 changed", "span 4 is new", "span 2 is reused")
    assert read == ["span-3", "span-4"]


def test_files_that_were_just_written_are_not_remembered(project: Project) -> None:
    put(project.folder, 1)
    ran = project.run(window(1))
    assert project.executions(ran.result.run)["CsvExampleGen"].properties[known_files.NOTE] == "[]"


def test_note_of_many_files_keeps_what_fits(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.csv" for number in range(400)]
    for file in files:
        file.touch()
    note = known_files.note_of(((file, "0" * 64) for file in files), since=time.time_ns() + 10**11)
    kept = json.loads(note)
    assert 100 < len(kept) < 400
    assert len(note) <= 60_000
    assert kept[-1][0] == str(files[-1])
