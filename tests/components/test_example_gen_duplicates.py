"""Equal records within and across splits."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import CsvExampleGen, ImageFolderExampleGen
from components.example_gen import duplicates as module
from tests.components.media import generate, issues, picture, write
from tests.harness import Outputs

REPOSITORY = Path(__file__).parents[2]


def table(tmp_path: Path, files: dict[str, list[str]], **parameters: Any) -> Outputs:
    write(tmp_path, {name: ("\n".join(["n", *lines]) + "\n").encode() for name, lines in files.items()})
    return generate(CsvExampleGen, tmp_path, **{"input": "*.csv", **parameters})


def test_equal_records_are_counted_and_named(tmp_path: Path) -> None:
    examples = table(tmp_path, {"a.csv": ["1", "2", "1", "3"], "b.csv": ["4", "1", "3"]})["examples"]
    assert examples.summary()["duplicates"] == {"within": {"all": 3}, "across": 0}
    (issue,) = examples.summary()["issues"]
    assert (issue["kind"], issue["count"], issue["splits"]) == ("DUPLICATE_RECORD", 3, ["all"])
    assert issue["records"] == ["a.csv, row 1 = a.csv, row 3 and 1 more", "a.csv, row 4 = b.csv, row 3"]


def test_a_record_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    given = {"train": "a.csv", "eval": "b.csv", "test": "c.csv"}
    files = {"a.csv": ["1", "2", "3", "1"], "b.csv": ["3", "1", "9"], "c.csv": ["1", "8"]}
    examples = table(tmp_path, files, input=given)["examples"]
    assert examples.summary()["duplicates"] == {"within": {"train": 1, "eval": 0, "test": 0}, "across": 2}
    leaks = issues(examples)["LEAKED_RECORD"]
    assert [(leak["splits"], leak["count"], leak["records"]) for leak in leaks] == [
        (["train", "eval"], 1, ["a.csv, row 3 (train) = b.csv, row 1 (eval)"]),
        (["train", "eval", "test"], 1, ["a.csv, row 1 (train) = b.csv, row 2 (eval) = c.csv, row 1 (test) and 1 more"]),
    ]


def test_messages_that_repeat_do_not_straddle_the_splits_by_text(tmp_path: Path) -> None:
    form = {"input": str(REPOSITORY / "data/sms_spam/sms.tsv"), "delimiter": "\t", "column_names": ("label", "text"), "quoting": False}
    splits = {"train": 2, "eval": 1}
    by_text = generate(CsvExampleGen, tmp_path, **form, splits=splits, split_by="text")["examples"].summary()["duplicates"]
    assert (sum(by_text["within"].values()), by_text["across"]) == (403, 0)
    by_label = generate(CsvExampleGen, tmp_path, **form, splits=splits, stratify_by="label")["examples"]
    assert by_label.summary()["duplicates"]["across"] == issues(by_label)["LEAKED_RECORD"][0]["count"] > 100


def test_records_without_a_copy_are_no_issue(tmp_path: Path) -> None:
    summary = table(tmp_path, {"a.csv": ["1", "2"]})["examples"].summary()
    assert (summary["duplicates"], summary["issues"]) == ({"within": {"all": 0}, "across": 0}, [])


@pytest.mark.parametrize("in_memory", [1 << 22, 500])
def test_counts_are_those_of_a_counter_in_any_number_of_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(module, "_IN_MEMORY", in_memory)
    choose = random.Random(1)
    drawn = {split: [str(choose.randrange(1500)) for _ in range(2000)] for split in ("train", "eval")}
    examples = table(tmp_path, {f"{split}.csv": lines for split, lines in drawn.items()}, input={split: f"{split}.csv" for split in drawn})
    counts = {split: Counter(lines) for split, lines in drawn.items()}
    found = examples["examples"].summary()["duplicates"]
    assert found["within"] == {split: 2000 - len(count) for split, count in counts.items()}
    assert found["across"] == len(counts["train"].keys() & counts["eval"].keys())
    assert all(len(issue["records"]) >= 10 for issue in examples["examples"].summary()["issues"])


def test_files_are_equal_by_content_and_named(tmp_path: Path) -> None:
    write(tmp_path, {"d/a/1.jpg": picture(1), "d/b/2.jpg": picture(1), "d/b/3.jpg": picture(3)})
    examples = generate(ImageFolderExampleGen, tmp_path, input="d")["examples"]
    assert issues(examples)["DUPLICATE_RECORD"][0]["records"] == ["d/a/1.jpg = d/b/2.jpg"]


def test_the_same_picture_in_the_folders_of_two_splits_is_a_leak(tmp_path: Path) -> None:
    write(tmp_path, {"train/a/1.jpg": picture(1), "train/a/2.jpg": picture(2), "val/a/x.jpg": picture(2)})
    examples = generate(ImageFolderExampleGen, tmp_path, input={"train": "train", "eval": "val"})["examples"]
    assert issues(examples)["LEAKED_RECORD"][0]["records"] == ["train/a/2.jpg (train) = val/a/x.jpg (eval)"]
