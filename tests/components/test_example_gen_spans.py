"""Windows of spans of pictures in folders, of Avro files and of time series, and what the statistics of a window say of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components import AvroExampleGen, ImageFolderExampleGen, TimeSeriesExampleGen
from components.example_gen.folder_driver import FolderDriver
from components.record_issues import told_of
from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.errors import DefinitionError
from tests.components.media import issues, picture, rows, write
from tests.components.test_example_gen_avro import write_avro
from tests.project import Project, Ran


def put_pictures(folder: Path, span: int, version: int = 1, *, marker: bool = True) -> Path:
    """Writes a span of pictures that no other span or version has."""
    first = 100 * span + 50 * version
    write(folder, {f"spans/{span}/v{version}/{'ab'[number % 2]}/{number}.jpg": picture(first + number) for number in range(4)})
    place = folder / f"spans/{span}/v{version}"
    if marker:
        (place / "_SUCCESS").touch()
    return place


def pictures(text: str = "spans/{SPAN}/v{VERSION}", **parameters: Any) -> Component:
    return ImageFolderExampleGen(**{"input": text, "window": 2, "ready": "_SUCCESS", "splits": {"all": 1}, **parameters})


def made(ran: Ran, node: str = "ImageFolderExampleGen") -> list[Artifact]:
    return list(ran.result[node].outputs["examples"])


def spans(ran: Ran) -> list[tuple[object, object]]:
    return [(artifact.properties["span"], artifact.properties["version"]) for artifact in made(ran)]


def test_a_window_of_folders_reads_the_new_span_and_the_corrected_one(project: Project) -> None:
    for span in (1, 2):
        put_pictures(project.folder, span)
    first = project.run(pictures())
    put_pictures(project.folder, 3)
    put_pictures(project.folder, 4, marker=False)
    moved = project.run(pictures())
    assert moved.reasons("ImageFolderExampleGen") == (
        "span 3 is new",
        "span 2 is reused",
        "span 4 is not complete: no _SUCCESS in spans/4/v1; span 3 taken",
    )
    assert (spans(first), spans(moved)) == ([(1, 1), (2, 1)], [(2, 1), (3, 1)])
    assert made(moved)[0].id == made(first)[1].id
    assert [row["label"] for row in rows(made(moved)[1])] == [b"a", b"a", b"b", b"b"]
    assert "OTHER_FILE" not in issues(made(moved)[1])
    put_pictures(project.folder, 2, 2)
    corrected = project.run(pictures())
    assert corrected.reasons("ImageFolderExampleGen")[0].startswith("span 2 changed: 4 files, 0.0 MB, version 2, was")
    assert spans(corrected) == [(2, 2), (3, 1)]


def test_an_empty_class_makes_only_its_span_new_and_is_told_of_it(project: Project) -> None:
    for span in (1, 2):
        put_pictures(project.folder, span)
    project.run(pictures())
    (project.folder / "spans/2/v1/none").mkdir()
    ran = project.run(pictures())
    assert ran.reasons("ImageFolderExampleGen") == ("span 2 changed", "span 1 is reused")
    assert "EMPTY_CLASS" not in issues(made(ran)[0])
    assert issues(made(ran)[1])["EMPTY_CLASS"][0]["records"] == ["spans/2/v1/none/"]


@pytest.mark.parametrize("text", ["spans/{SPAN}/v{VERSION}", "spans/{SPAN}/v{VERSION}/", "spans/{SPAN}/v{VERSION}/*"])
def test_classes_may_be_named_by_the_pattern_or_not(tmp_path: Path, text: str) -> None:
    for span in (1, 2):
        (put_pictures(tmp_path, span) / "none").mkdir()
    chosen = FolderDriver().choose(pictures(text).parameters, tmp_path)
    assert [[len(found.files), *getattr(found, "empty_folders", ())] for found in chosen.inputs] == [
        [4, "spans/1/v1/none/"],
        [4, "spans/2/v1/none/"],
    ]


def test_a_marker_in_an_archive_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"names the span in its files.\nName the marker of each span: ready='data/{SPAN}.done'"):
        pictures("spans/{SPAN}.tar", window=None)
    pictures("spans/{SPAN}.tar", ready="spans/{SPAN}.done")


def test_a_window_of_avro_files_reads_the_new_span(project: Project) -> None:
    def put(span: int) -> None:
        write_avro(project.folder / f"{span}.avro", {"n": "long"}, [{"n": 10 * span + number} for number in range(3)])

    def window() -> Component:
        return AvroExampleGen(input="{SPAN}.avro", window=2, splits={"all": 1})

    for span in (1, 2):
        put(span)
    project.run(window())
    put(3)
    ran = project.run(window())
    assert ran.reasons("AvroExampleGen") == ("span 3 is new", "span 2 is reused")
    assert [[row["n"] for row in rows(one)] for one in made(ran, "AvroExampleGen")] == [[20, 21, 22], [30, 31, 32]]


def test_windows_of_a_time_series_end_with_their_span(project: Project) -> None:
    for day in (1, 2):
        lines = [f"2024-01-0{day}T{hour:02},{100 * day + hour}" for hour in range(12)]
        project.write(f"{day}.csv", "\n".join(["time,x", *lines, ""]))
    when: dict[str, Any] = {"time": "time", "time_format": "%Y-%m-%dT%H"}
    node = TimeSeriesExampleGen(input="{SPAN}.csv", window=2, splits={"all": 1}, history=3, horizon=1, target="x", **when)
    ran = project.run(node)
    found = [[row["horizon/x"] for row in rows(one)] for one in made(ran, "TimeSeriesExampleGen")]
    assert found == [[float(100 * day + hour) for hour in range(3, 12)] for day in (1, 2)]


def test_statistics_of_a_window_name_the_span_of_an_issue_and_sum_up(project: Project) -> None:
    for span in (1, 2, 3):
        put_pictures(project.folder, span)
    write(project.folder, {f"spans/{span}/v1/a/bad{number}.jpg": b"x" for span in (1, 3) for number in range(span)})
    examples = made(project.run(pictures(window=3, on_bad_record="skip")))
    (issue,) = told_of(examples)["issues"]
    assert issue["text"] == "4 in 2 of 3 spans; span 3: 3 bad records (does not decode), left out."
    assert (issue["count"], [record[:8] for record in issue["records"]]) == (4, ["spans/3/"] * 3 + ["spans/1/"])
    assert told_of(examples[2:])["issues"][0]["text"] == "3 bad records (does not decode), left out."
    assert told_of(examples[:2])["issues"][0]["text"] == "span 1: 1 bad record (does not decode), left out."
    assert "issues" not in told_of(examples[1:2])
