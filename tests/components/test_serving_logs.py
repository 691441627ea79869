"""Logs of served requests: read as spans, joined with later labels, and every row is accounted for."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from components.records import read_split
from components.retraining import NewData, RetrainingPolicy
from components.schema.component import ImportSchema
from components.serving_logs import LabelJoin, ServingLogExampleGen
from pipeline.artifacts import Artifact, Examples
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError
from tests.components.rows import documented_example, write_examples
from tests.harness import Outputs, run
from tests.project import Project, Ran

SUMMARY = json.loads((Path(__file__).parents[2] / "schemas/summaries/Examples.json").read_text())
PATTERN = "logs/{SPAN}/*"


def log(folder: Path, span: int, rows: list[Any], name: str = "a.jsonl", *, age: float = 3600) -> Path:
    """Writes JSON lines that were last touched `age` seconds ago."""
    file = folder / "logs" / str(span) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    os.utime(file, (time.time() - age,) * 2)
    return file


def read(folder: Path, **parameters: Any) -> Outputs:
    return run(ServingLogExampleGen, folder, **({"input": PATTERN} | parameters))


def rows_of(examples: Artifact, split: str = "serving") -> list[dict[str, Any]]:
    """The rows with what they hold, texts decoded."""
    rows = [row for batch in read_split(examples.split_path(split)) for row in batch.to_pylist()]
    return [{name: _plain(values) for name, values in row.items() if values is not None} for row in rows]


def _plain(values: list[Any]) -> Any:
    found = [value.decode() if isinstance(value, bytes) else value for value in values]
    return found[0] if len(found) == 1 else found


REQUESTS = [
    {"id": "r1", "at": "2026-01-31T23:59:59", "instance": {"miles": 1, "company": "Blue", "late": True}, "tags": ["a", "b"]},
    {"id": "r2", "instance": {"miles": 2.5, "company": None, "late": False}, "tags": []},
    {"id": "r3", "instance": {"miles": 3, "hour": 7}},
]


def test_fields_of_lines_become_features(tmp_path: Path) -> None:
    log(tmp_path, 4, REQUESTS)
    outputs = read(tmp_path, unwrap=("instance",))
    examples = outputs["examples"]
    assert rows_of(examples) == [
        {"id": "r1", "at": "2026-01-31T23:59:59", "miles": 1.0, "company": "Blue", "late": 1, "tags": ["a", "b"]},
        {"id": "r2", "miles": 2.5, "late": 0, "tags": []},
        {"id": "r3", "miles": 3.0, "hour": 7},
    ]
    assert (examples.properties["span"], examples.splits, examples.record_counts) == (4, ("serving",), {"serving": 3})
    assert outputs.context.rows is not None and (outputs.context.rows.read, outputs.context.rows.missing) == (3, 0)
    jsonschema.validate(examples.summary(), SUMMARY)


def test_types_are_those_of_all_files_and_of_the_schema(tmp_path: Path) -> None:
    """A number without a fraction is a float where another has one, in whichever file, or where the schema says so."""
    log(tmp_path, 1, [{"x": 1, "y": 2}], "a.jsonl")
    log(tmp_path, 1, ["", '{"x": 1.5, "y": 3}', "  "], "b.ndjson.gz")
    (tmp_path / "mine.pbtxt").write_text('feature { name: "y" type: FLOAT }')
    schema = run(ImportSchema, tmp_path, schema_file="mine.pbtxt")["schema"]
    plain = read(tmp_path)["examples"].summary()["columns"]
    assert {column["name"]: column["type"] for column in plain} == {"x": "float32", "y": "int64"}
    typed = read(tmp_path, inputs={"schema": schema})["examples"]
    assert {column["name"]: column["type"] for column in typed.summary()["columns"]} == {"x": "float32", "y": "float32"}
    assert rows_of(typed) == [{"x": 1.0, "y": 2.0}, {"x": 1.5, "y": 3.0}]
    (tmp_path / "mine.pbtxt").write_text('feature { name: "y" type: BYTES }')
    schema = run(ImportSchema, tmp_path, schema_file="mine.pbtxt")["schema"]
    with pytest.raises(DataError, match="Feature 'y' is int64 in the logs, and text in the schema"):
        read(tmp_path, inputs={"schema": schema})


def test_records_and_lines_may_lie_beside_one_another(tmp_path: Path) -> None:
    log(tmp_path, 1, [{"x": 1}])
    made = write_examples(tmp_path / "made", {"train": {"x": pa.array([5, 6])}})
    next((made.path / "Split-train").iterdir()).rename(tmp_path / "logs/1/b.tfrecord.gz")
    assert rows_of(read(tmp_path, ready=None)["examples"]) == [{"x": 1}, {"x": 5}, {"x": 6}]


def test_lines_of_many_pieces_keep_their_order_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.serving_logs.json_lines._BLOCK_BYTES", 200)
    file = log(tmp_path, 1, [{"x": number} if number % 3 else {"x": number, "y": "t"} for number in range(100)])
    assert [row["x"] for row in rows_of(read(tmp_path)["examples"])] == list(range(100))
    file.write_text(file.read_text() + '{"x": 1}\n{"x": \n{"x": 2}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 102 is no JSON"):
        read(tmp_path, ready=None)


@pytest.mark.parametrize(
    ("rows", "message", "hint"),
    [
        (['{"x": 1}', '{"x": 2'], r"a\.jsonl, line 2 is no JSON", "still being written"),
        (['{"x": 1', '{"x": 2}'], r"a\.jsonl, line 1 is no JSON", "Mend or remove"),
        (['{"x": 1}', "[1, 2]"], r"a\.jsonl, line 2 is no object: \[1, 2\]", "Expected"),
        ([{"x": 1}, {"x": "one"}], r"a\.jsonl: .*changed from number to string", "with one type"),
        ([{"x": {"y": 1}}], "'x' is an object", "unwrap=\\['x'\\]"),
        ([{"x": [[1]]}], "holds lists of lists", ""),
    ],
)
def test_what_is_no_row_is_named_by_file_and_line(tmp_path: Path, rows: list[Any], message: str, hint: str) -> None:
    log(tmp_path, 1, rows)
    with pytest.raises(DataError, match=f"(?s){message}.*{hint}"):
        read(tmp_path)


def test_a_feature_with_two_types_in_two_files_is_named(tmp_path: Path) -> None:
    log(tmp_path, 1, [{"x": 1}], "a.jsonl")
    log(tmp_path, 1, [{"x": "one"}], "b.jsonl")
    with pytest.raises(DataError, match=r"b\.jsonl: feature 'x' is text, and was int64 before"):
        read(tmp_path)


def test_a_span_that_is_still_written_is_not_taken(tmp_path: Path) -> None:
    log(tmp_path, 1, [{"x": 1}])
    log(tmp_path, 2, [{"x": 2}], age=5)
    assert read(tmp_path)["examples"].properties["span"] == 1
    assert read(tmp_path, ready=3.0)["examples"].properties["span"] == 2
    (tmp_path / "logs/1/_SUCCESS").touch()
    assert read(tmp_path, ready="_SUCCESS", input="logs/{SPAN}/*.jsonl")["examples"].properties["span"] == 1


def test_before_the_first_span_is_complete_there_are_no_requests_and_no_error(tmp_path: Path) -> None:
    assert verdict(read(tmp_path)) == ("no requests", "No span of served requests is complete yet.")
    log(tmp_path, 1, [{"x": 1}], age=5)
    outputs = read(tmp_path)
    kind, reason = verdict(outputs)
    assert kind == "no requests" and "span 1 is not complete: written 5 s ago, and must be quiet for 60 s" in reason
    assert not any(outputs["examples"].path.iterdir())


def verdict(outputs: Outputs) -> tuple[str, str]:
    assert outputs.context.verdict is not None
    return outputs.context.verdict.kind, outputs.context.verdict.reasons[0]


def requests_and_labels(folder: Path) -> tuple[list[Artifact], list[Artifact]]:
    """Requests of two spans, and labels of two, some of them late, repeated, corrected, or of no request."""
    requests = {
        1: {"id": [b"a", b"b", b"c", b"d"], "x": [1, 2, 3, 4]},
        2: {"id": [b"e", b"a", None, b"f", b"e"], "x": [5, 6, 7, 8, 9]},
    }
    labels = {
        1: {"id": [b"a", b"b", b"b", b"z"], "y": [0, 1, 1, 1]},
        2: {"id": [b"c", b"a", b"e", None, b"d"], "y": [0, 1, 1, 1, None]},
    }
    return tuple(
        [_spanned(folder / f"{what}-{span}", span, rows) for span, rows in tables.items()]
        for what, tables in (("r", requests), ("l", labels))
    )  # type: ignore[return-value]


def _spanned(folder: Path, span: int, rows: dict[str, Any]) -> Examples:
    examples = write_examples(folder, {"all": pa.table(rows)})
    examples.properties["span"] = span
    return examples


def test_each_request_gets_its_label_and_every_row_is_counted(tmp_path: Path) -> None:
    requests, labels = requests_and_labels(tmp_path)
    outputs = run(LabelJoin, tmp_path, inputs={"requests": requests, "labels": labels}, key="id", label="y", splits={"all": 1})
    joined = outputs["joined"]
    rows = {row["id"]: (row["x"], row["y"]) for row in rows_of(joined, "all")}
    assert rows == {"a": (1, 1), "b": (2, 1), "c": (3, 0), "e": (5, 1)}  # a's label was corrected, its second request repeated
    assert joined.summary()["join"] == {
        "requests": 9,
        "joined": 4,
        "dropped": {"no label yet": 2, "repeated key": 2, "no key": 1},
        "labels": 9,
        "repeated_labels": 1,
        "corrected_labels": 1,
        "labels_without_key": 2,
        "labels_without_request": 1,
        "spans_later": {"0": 2, "1": 2},
    }
    jsonschema.validate(joined.summary(), SUMMARY)
    balance = outputs.context.rows
    assert balance is not None and (balance.read, balance.missing, sum(balance.dropped.values())) == (9, 0, 5)
    assert outputs.context.verdict is not None
    assert (outputs.context.verdict.kind, outputs.context.verdict.reasons) == (
        "joined",
        (
            "4 of 9 requests have a label (44.4%). Not joined: 2 no label yet, 2 repeated key, 1 no key.",
            "Of 9 labels: 1 without a request, 1 repeated, 1 corrected by a later one, 2 without key or value.",
            "2 labels came in a later span than their request, up to 1 later.",
        ),
    )
    assert joined.properties["span"] == 2


def test_a_label_that_comes_later_moves_no_request_to_another_split(tmp_path: Path) -> None:
    keys = [f"k{number}".encode() for number in range(300)]
    requests = [_spanned(tmp_path / "r", 1, {"id": keys, "x": list(range(300))})]
    early = [_spanned(tmp_path / "l1", 1, {"id": keys[:150], "y": [1] * 150})]
    late = [*early, _spanned(tmp_path / "l2", 2, {"id": keys[150:], "y": [0] * 150})]
    splits = []
    for labels in (early, late):
        joined = run(LabelJoin, tmp_path, inputs={"requests": requests, "labels": labels}, key="id", label="y")["joined"]
        assert set(joined.splits) == {"train", "eval"}
        splits.append({row["id"]: split for split in joined.splits for row in rows_of(joined, split)})
    assert (len(splits[0]), len(splits[1])) == (150, 300)
    assert splits[0].items() <= splits[1].items()


def test_too_few_labels_leave_the_output_empty_with_that_reason(tmp_path: Path) -> None:
    requests = [_spanned(tmp_path / "r", 1, {"id": [1, 2], "x": [1, 2]})]
    labels = [_spanned(tmp_path / "l", 1, {"id": [1], "y": [1]})]
    outputs = run(LabelJoin, tmp_path, inputs={"requests": requests, "labels": labels}, key="id", label="y")
    assert verdict(outputs)[0] == "nothing joined"
    assert not any(outputs["joined"].path.iterdir())
    balance = outputs.context.rows
    assert balance is not None and balance.missing == 0
    assert balance.dropped == {"no label yet": 1, "repeated key": 0, "no key": 0, "too few to split": 1}


@pytest.mark.parametrize(
    ("requests", "labels", "message"),
    [
        ({"id": [1], "y": [2]}, {"id": [1], "y": [1]}, "requests have a feature 'y' of their own"),
        ({"id": [1]}, {"id": [b"1"], "y": [1]}, "The key 'id' is int in the requests and bytes in the labels"),
        ({"id": [1]}, {"id": [1], "z": [1]}, "The labels have no feature 'y'"),
        ({"idd": [1]}, {"id": [1], "y": [1]}, "The requests have no feature 'id'. Did you mean 'idd'"),
        ({"id": [[1, 2]]}, {"id": [1], "y": [1]}, "has several values in a row of the requests"),
        ({"id": pa.array([1.0], pa.float32())}, {"id": [1], "y": [1]}, "holds floats in the requests"),
    ],
)
def test_what_cannot_be_joined_is_named(tmp_path: Path, requests: dict[str, Any], labels: dict[str, Any], message: str) -> None:
    inputs = {"requests": [_spanned(tmp_path / "r", 1, requests)], "labels": [_spanned(tmp_path / "l", 1, labels)]}
    with pytest.raises(DataError, match=message):
        run(LabelJoin, tmp_path, inputs=inputs, key="id", label="y", splits={"all": 1})


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"input names no span: 'logs/a\.jsonl'"):
        ServingLogExampleGen(input="logs/a.jsonl", ready=None)
    logs = ServingLogExampleGen(input=PATTERN)
    with pytest.raises(DefinitionError, match="'id' is key and label"):
        LabelJoin(logs, logs, key="id", label="id")
    with pytest.raises(DefinitionError, match="key and label name features"):
        LabelJoin(logs, logs, key="", label="y")


class NearLogs(ServingLogExampleGen):
    """Reads in this process."""

    isolated = False


class NearJoin(LabelJoin):
    """Joins in this process."""

    isolated = False


class TrainOn(Component):
    """A model of what it is given."""

    isolated = False

    def execute(self, context: Context, examples: Input[list[Examples]], model: Output[Artifact]) -> None:
        raise NotImplementedError


def served(project: Project, **options: Any) -> Ran:
    """Joins the last two spans of requests with the last two of labels."""
    requests = NearLogs(input="logs/{SPAN}/r*.jsonl", window=2, id="Requests")
    labels = NearLogs(input="logs/{SPAN}/l*.jsonl", window=2, id="Labels", splits={"labels": 1})
    joined = NearJoin(requests, labels, key="id", label="y", splits={"train": 1})
    return project.run(RetrainingPolicy(joined, retrain_if=NewData(rows=2)), parallel=1, **options)


def test_each_span_is_read_once_and_a_late_label_makes_only_the_join_stale(project: Project) -> None:
    waiting = served(project)
    assert (waiting.state("NearJoin"), waiting.state("RetrainingPolicy")) == ("skipped", "skipped")
    assert waiting.result.state.value == "done"
    log(project.folder, 1, [{"id": 1, "x": 1}, {"id": 2, "x": 2}], "r.jsonl")
    log(project.folder, 1, [{"id": 1, "y": 0}], "l.jsonl")
    first = served(project)
    assert first.output("NearJoin").summary()["join"]["joined"] == 1
    log(project.folder, 2, [{"id": 3, "x": 3}], "r.jsonl")
    log(project.folder, 2, [{"id": 2, "y": 1}, {"id": 3, "y": 1}], "l.jsonl")
    second = served(project)
    counts = second.output("NearJoin").summary()["join"]
    assert (counts["joined"], counts["spans_later"]) == (3, {"0": 2, "1": 1})
    spans = [one.properties["span"] for one in second.result["Requests"].outputs["examples"]]
    assert spans == [1, 2]
    (before,) = first.result["Requests"].outputs["examples"]
    assert second.result["Requests"].outputs["examples"][0].id == before.id
    assert served(project).state("NearJoin") == "cached"


@pytest.mark.parametrize("kind", [ServingLogExampleGen, LabelJoin])
def test_the_documented_example_runs(kind: type[Component]) -> None:
    from components import CsvExampleGen

    names: dict[str, Any] = {
        "schema": ImportSchema(schema_file="schema.pbtxt"),
        "ServingLogExampleGen": ServingLogExampleGen,
        "CsvExampleGen": CsvExampleGen,
        "LabelJoin": LabelJoin,
    }
    exec(documented_example(kind), names)
