"""Patterns, spans, versions, fingerprints, and the driver."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import CsvExampleGen
from components.example_gen.base import InputDriver
from components.example_gen.inputs import ResolvedInput, resolve_input
from components.example_gen.patterns import Pattern
from pipeline.errors import DataError, DefinitionError


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"n\n{name}\n")


def resolve(project: Path, value: Any, span: int | None = None, version: int | None = None) -> ResolvedInput:
    return resolve_input(value, span=span, version=version, project=project)


def names(found: ResolvedInput) -> list[str]:
    return [file.name for file in found.files]


def prepare(project: Path, **parameters: Any) -> Any:
    return InputDriver().prepare(CsvExampleGen(**parameters), {}, project)


def test_wildcards_find_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "a/2.csv", "a/10.csv", "a/x.txt", "a/.hidden.csv", "b/c/d/1.csv", "[odd] name/1.csv")
    assert names(resolve(tmp_path, "a/*.csv")) == ["a/10.csv", "a/2.csv"]
    assert names(resolve(tmp_path, "a/[0-9].csv")) == ["a/2.csv"]
    assert names(resolve(tmp_path, "a/[!0-9].*")) == ["a/x.txt"]
    assert names(resolve(tmp_path, "**/1.csv")) == ["[odd] name/1.csv", "b/c/d/1.csv"]
    assert names(resolve(tmp_path, "a/?.csv")) == ["a/2.csv"]
    assert names(resolve(tmp_path, ("b/c/d/*.csv", "a/2.csv", "a/?.csv"))) == ["b/c/d/1.csv", "a/2.csv"]


def test_project_folder_with_wildcards_in_its_name_is_read(tmp_path: Path) -> None:
    project = tmp_path / "we[i]rd *"
    write(project, "span-1/a.csv")
    assert names(resolve(project, "span-{SPAN}/*.csv")) == ["span-1/a.csv"]


def test_absolute_patterns_name_files_relative_to_their_literal_part(tmp_path: Path) -> None:
    write(tmp_path / "far", "x/a.csv", "y/a.csv")
    assert names(resolve(tmp_path / "near", f"{tmp_path}/far/*/a.csv")) == ["x/a.csv", "y/a.csv"]


def test_latest_span_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    write(tmp_path, "span-9/a.csv", "span-10/a.csv", "span-10/b.csv", "span-x/a.csv")
    found = resolve(tmp_path, "span-{SPAN}/*.csv")
    assert (found.span, found.version, names(found)) == (10, None, ["span-10/a.csv", "span-10/b.csv"])


def test_span_can_be_given_or_counted_from_the_latest(tmp_path: Path) -> None:
    write(tmp_path, "span-1/a.csv", "span-5/a.csv", "span-7/a.csv")
    assert [resolve(tmp_path, "span-{SPAN}/*", span).span for span in (5, -1, -3)] == [5, 7, 1]
    with pytest.raises(DataError, match=r"has no span 6.\nIt has: 1, 5, 7"):
        resolve(tmp_path, "span-{SPAN}/*", 6)
    with pytest.raises(DataError, match=r"no span -4 counted from the latest: there are 3"):
        resolve(tmp_path, "span-{SPAN}/*", -4)


def test_version_belongs_to_its_span(tmp_path: Path) -> None:
    write(tmp_path, "s1/v1/a.csv", "s1/v7/a.csv", "s2/v1/a.csv", "s2/v2/a.csv")
    pattern = "s{SPAN}/v{VERSION}/a.csv"
    latest = resolve(tmp_path, pattern)
    assert (latest.span, latest.version) == (2, 2)
    assert names(resolve(tmp_path, pattern, 1)) == ["s1/v7/a.csv"]
    assert names(resolve(tmp_path, pattern, 1, 1)) == ["s1/v1/a.csv"]
    with pytest.raises(DataError, match="has no version 7"):
        resolve(tmp_path, pattern, 2, 7)


def test_width_of_a_number_is_exact(tmp_path: Path) -> None:
    write(tmp_path, "0007.csv", "123456.csv")
    assert resolve(tmp_path, "{SPAN:4}.csv").span == 7
    assert resolve(tmp_path, "{SPAN}.csv").span == 123456
    assert resolve(tmp_path, "{SPAN:4}{VERSION:2}.csv").version == 56


def test_date_is_a_span_counted_in_days(tmp_path: Path) -> None:
    write(tmp_path, "2024-02-29/a.csv", "2023-12-31/a.csv")
    found = resolve(tmp_path, "{YYYY}-{MM}-{DD}/a.csv")
    assert found.span == (datetime.date(2024, 2, 29) - datetime.date(1970, 1, 1)).days
    write(tmp_path, "2023-02-29/a.csv")
    with pytest.raises(DataError, match=r"2023-02-29/a.csv is not named after a date"):
        resolve(tmp_path, "{YYYY}-{MM}-{DD}/a.csv")


def test_repeated_part_must_be_the_same_number(tmp_path: Path) -> None:
    write(tmp_path, "3/trips-3.csv", "4/trips-3.csv")
    assert names(resolve(tmp_path, "{SPAN}/trips-{SPAN}.csv")) == ["3/trips-3.csv"]


def test_given_splits_share_span_and_version(tmp_path: Path) -> None:
    write(tmp_path, "train-1.csv", "train-2.csv", "eval-1.csv", "eval-2.csv")
    found = resolve(tmp_path, {"train": "train-{SPAN}.csv", "eval": "eval-{SPAN}.csv"})
    assert {group.split: [file.name for file in group.files] for group in found.groups} == {
        "train": ["train-2.csv"],
        "eval": ["eval-2.csv"],
    }
    write(tmp_path, "train-3.csv")
    with pytest.raises(DataError, match=r"'eval-{SPAN}.csv' of split 'eval' has no span 3"):
        resolve(tmp_path, {"train": "train-{SPAN}.csv", "eval": "eval-{SPAN}.csv"})


def test_file_in_two_splits_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "eval.csv")
    with pytest.raises(DataError, match=r"eval.csv would be in split 'train' and in split 'eval'"):
        resolve(tmp_path, {"train": "*.csv", "eval": "eval.csv"})


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("data/taxy/*.csv", r"nothing in .*data matches 'taxy'. Did you mean 'taxi'\?\n.*holds: bikes, taxi"),
        ("data/taxi/*.parquet", r"nothing in .*data/taxi matches '\*.parquet'.\n.*holds: span-1"),
        ("data/taxi/span-{SPAN}/*.tsv", r"nothing in .*span-1 matches '\*.tsv'.\n.*holds: a.csv"),
        ("data/{SPAN}/*.csv", r"nothing in .*data matches '{SPAN}'"),
        ("data/taxi", r"data/taxi is a folder.\nName its files: 'data/taxi/\*'"),
        ("data/**/*.tsv", r"nothing in .*data matches '\*\*/\*.tsv'"),
        ("/nowhere/*.csv", r"nothing in / matches 'nowhere'"),
    ],
)
def test_pattern_without_files_says_which_part_is_missing(tmp_path: Path, pattern: str, message: str) -> None:
    write(tmp_path, "data/taxi/span-1/a.csv", "data/bikes/a.csv")
    with pytest.raises(DataError, match=message):
        resolve(tmp_path, pattern)


def test_empty_or_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"empty.csv is empty"):
        resolve(tmp_path, "*.csv")
    with pytest.raises(DataError, match=r"gone.txt cannot be read: No such file"):
        resolve(tmp_path, "*.txt")


def test_fingerprint_is_of_names_and_content_and_not_of_times_or_places(tmp_path: Path) -> None:
    write(tmp_path / "here", "a.csv", "b.csv")
    write(tmp_path / "there", "a.csv", "b.csv")
    before = resolve(tmp_path / "here", "*.csv").fingerprint
    (tmp_path / "here/a.csv").touch()
    assert resolve(tmp_path / "here", "*.csv").fingerprint == before == resolve(tmp_path / "there", "*.csv").fingerprint
    assert resolve(tmp_path / "here", {"train": "a.csv", "eval": "b.csv"}).fingerprint != before
    (tmp_path / "there/b.csv").rename(tmp_path / "there/c.csv")
    (tmp_path / "here/a.csv").write_text("n\n2\n")
    assert before not in (resolve(tmp_path / "here", "*.csv").fingerprint, resolve(tmp_path / "there", "*.csv").fingerprint)


def test_driver_resolves_parameters_and_explains_the_input(tmp_path: Path) -> None:
    write(tmp_path, "span-3/a.csv", "span-3/b.csv")
    prepared = prepare(tmp_path, input="span-{SPAN}/*.csv")
    assert prepared.parameters["span"] == 3
    assert names(prepared.parameters["input"]) == ["span-3/a.csv", "span-3/b.csv"]
    (part,) = prepared.parts
    assert (part.name, part.text) == ("input files", "2 files, 0.0 MB, span 3")
    assert prepared.left_out == {"input", "window", "missing_spans", "ready"}


def test_changed_content_and_new_file_change_the_key_part(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    digests = {prepare(tmp_path, input="*.csv").parts[0].digest}
    (tmp_path / "a.csv").write_text("n\n2\n")
    digests.add(prepare(tmp_path, input="*.csv").parts[0].digest)
    write(tmp_path, "b.csv")
    digests.add(prepare(tmp_path, input="*.csv").parts[0].digest)
    assert len(digests) == 3


def test_change_after_the_fingerprint_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    found = resolve(tmp_path, "a.csv")
    found.verify()
    (tmp_path / "a.csv").write_text("n\n2\n")
    with pytest.raises(DataError, match=r"a.csv changed while it was read"):
        found.verify()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{SPAM}/a.csv", r"unknown part {SPAM}. Did you mean 'SPAN'\?"),
        ("{SPAN:x}/a.csv", "unknown part {SPAN:x}"),
        ("{YYYY}/a.csv", "needs {YYYY} and {MM}, then {DD}, then {HH}"),
        ("{YYYY}{DD}/a.csv", "needs {YYYY} and {MM}, then {DD}, then {HH}"),
        ("{YYYY}{MM}{DD}/{SPAN}.csv", "no {SPAN} beside them"),
        ("{VERSION}/a.csv", "{VERSION} of no span"),
        ("", "is empty"),
    ],
)
def test_wrong_patterns_fail_when_they_are_made(pattern: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"input": "a.csv", "span": 1}, "span=1 is given, and input has no {SPAN}"),
        ({"input": "{SPAN}.csv", "version": 1}, "version=1 is given, and input has no {VERSION}"),
        ({"input": "{SPAM}.csv"}, "unknown part"),
        ({"input": ()}, "input is empty"),
        ({"input": {"train": ()}}, "input of split 'train' is empty"),
        ({"input": {"tr/ain": "a.csv"}}, "a split's name may hold"),
        ({"input": {"train": "a.csv"}, "splits": {"train": 1}}, "splits cannot be given too"),
        ({"input": {"train": "a.csv"}, "split_by": "x"}, "split_by cannot be given too"),
        ({"input": "a.csv", "splits": {}}, "splits is empty"),
        ({"input": "a.csv", "splits": {"train": 0}}, "weight of split 'train' must be 1 or more. Received: 0"),
        ({"input": "a.csv", "splits": {"train": 10**9}}, "may add up to 1,000,000"),
        ({"input": "a.csv", "splits": {"../x": 1}}, "a split's name may hold"),
        ({"input": "a.csv", "split_by": "x", "stratify_by": "y"}, "exclude one another"),
        ({"input": "a.csv", "shards": 0}, "shards must be 1 or more"),
        ({"input": "a.csv", "delimiter": ";;"}, "delimiter must be one ASCII character"),
        ({"input": "a.csv", "encoding": "utf-9"}, "encoding='utf-9' is unknown"),
        ({"input": "a.csv", "column_names": ("a", "a")}, "column_names must be different"),
        ({"input": 7}, "parameter 'input' expects"),
    ],
)
def test_wrong_parameters_fail_when_the_node_is_made(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        CsvExampleGen(**parameters)


def test_defining_and_resolving_loads_no_heavy_library(tmp_path: Path) -> None:
    write(tmp_path, "span-1/a.csv")
    code = f"""
import pathlib, sys
from components.example_gen import CsvExampleGen, ImportExampleGen, ParquetExampleGen
for kind in (CsvExampleGen, ImportExampleGen, ParquetExampleGen):
    kind.driver().prepare(kind(input="span-{{SPAN}}/*.csv"), {{}}, pathlib.Path({str(tmp_path)!r}))
print([name for name in ("tensorflow", "apache_beam", "pyarrow", "numpy", "tfx_bsl") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
