"""What becomes of the issues of records in statistics, schema and anomalies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.example_gen import AudioFolderExampleGen, CsvExampleGen, ImageFolderExampleGen
from components.example_validator import ExampleValidator
from components.schema.component import SchemaGen
from components.schema.file import read_schema_of
from components.statistics.component import StatisticsGen
from pipeline.artifacts import Artifact, Schema
from pipeline.cli.show import anomalies as show_anomalies
from pipeline.cli.show import examples as show_examples
from pipeline.context import Verdict
from tests.components.media import generate, picture, sound, write
from tests.harness import Outputs, run

pytestmark = pytest.mark.tensorflow

SCHEMAS = Path(__file__).parents[2] / "schemas/summaries"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Pictures with one of each issue, in two given splits."""
    folder = tmp_path_factory.mktemp("pictures")
    for split in ("train", "val"):
        write(folder / split, {f"{'ab'[number % 2]}/{split}{number}.jpg": picture(number + 50 * (split == "val")) for number in range(20)})
    write(folder, {"train/a/bad.jpg": b"x", "train/b/huge.jpg": picture(3, (900, 900)), "val/a/same.jpg": picture(4), "train/x.md": b""})
    (folder / "train/none").mkdir()
    given = {"train": "train", "eval": "val"}
    return generate(ImageFolderExampleGen, folder, input=given, on_bad_record="skip")["examples"]


@pytest.fixture(scope="module")
def statistics(examples: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return run(StatisticsGen, tmp_path_factory.mktemp("statistics"), inputs={"examples": examples})["statistics"]


def validated(tmp_path: Path, statistics: Artifact, schema: Artifact | None = None, **parameters: Any) -> Outputs:
    schema = schema or run(SchemaGen, tmp_path, inputs={"statistics": statistics})["schema"]
    return run(ExampleValidator, tmp_path, inputs={"statistics": statistics, "schema": schema}, **parameters)


def verdict_of(outputs: Outputs) -> Verdict:
    assert outputs.context.verdict is not None
    return outputs.context.verdict


def test_statistics_carry_what_the_example_gen_found(examples: Artifact, statistics: Artifact) -> None:
    told = statistics.summary()
    assert told["issues"] == examples.summary()["issues"]
    assert told["extremes"]["image/width"]["highest"] == {"value": 900, "records": ["train/b/huge.jpg"]}
    assert told["contents"] == {"image/encoded": "image", "image/filename": "name"}
    jsonschema.validate(told, json.loads((SCHEMAS / "ExampleStatistics.json").read_text()))


def test_of_pictures_the_size_is_counted_and_not_the_bytes(examples: Artifact, statistics: Artifact) -> None:
    features = {feature["name"]: feature for feature in statistics.summary()["splits"]["eval"]["features"]}
    assert features["image/encoded"]["type"] == "BYTES"
    assert "strings" not in features["image/encoded"]
    assert features["image/encoded"]["bytes"]["max"] == features["image/bytes"]["numeric"]["max"]


def test_the_schema_calls_a_picture_an_image_and_lists_no_names_of_files(statistics: Artifact, tmp_path: Path) -> None:
    schema = read_schema_of(run(SchemaGen, tmp_path, inputs={"statistics": statistics})["schema"])
    domains = {feature.name: feature.WhichOneof("domain_info") for feature in schema.feature}
    assert domains["image/encoded"] == "image_domain"
    assert domains["image/filename"] is None
    assert domains["label"] == "domain"
    assert [domain.name for domain in schema.string_domain if "filename" in domain.name] == []


def test_of_sounds_the_size_is_counted_too(tmp_path: Path) -> None:
    write(tmp_path, {f"d/x/{number}.wav": sound(number) for number in range(5)})
    made = generate(AudioFolderExampleGen, tmp_path, input="d")["examples"]
    told = run(StatisticsGen, tmp_path, inputs={"examples": made})["statistics"]
    features = {feature["name"]: feature["type"] for feature in told.summary()["splits"]["all"]["features"]}
    assert (features["audio/encoded"], features["audio/filename"]) == ("BYTES", "STRING")
    assert verdict_of(validated(tmp_path, told)).kind == "valid"


def test_anomalies_name_files(statistics: Artifact, tmp_path: Path) -> None:
    outputs = validated(tmp_path, statistics)
    verdict = verdict_of(outputs)
    assert (verdict.kind, verdict.blocks) == ("valid", False)
    assert verdict.reasons[1:] == (
        "EMPTY_CLASS: 1 folder holds no record: train/none/.",
        "OTHER_FILE: 1 file is no record by name or table, and left out: train/x.md.",
        "BAD_RECORD: 1 bad record (does not decode), left out: train/a/bad.jpg: it is no JPEG, PNG, BMP or GIF: it begins with b'x'.",
        "UNUSUAL_RECORD: 1 record with image/width 900, where 97.62 % have 16: train/b/huge.jpg: image/width is 900.",
        "UNUSUAL_RECORD: 1 record with image/height 900, where 97.62 % have 12: train/b/huge.jpg: image/height is 900.",
        "LEAKED_RECORD: 1 different record is in split 'train' and 'eval': what is evaluated was trained on: "
        "train/a/train4.jpg (train) = val/a/same.jpg (eval).",
    )
    summary = outputs["anomalies"].summary()
    assert [record["kind"] for record in summary["records"]] == [reason.partition(":")[0] for reason in verdict.reasons[1:]]
    assert outputs["anomalies"].properties["anomalies"] == 6
    jsonschema.validate(summary, json.loads((SCHEMAS / "ExampleAnomalies.json").read_text()))


@pytest.mark.parametrize(
    ("parameters", "blocking"),
    [
        ({"fail_on": ("ERROR", "LEAKED_RECORD")}, ["LEAKED_RECORD"]),
        ({"fail_on": ("BAD_RECORD", "EMPTY_CLASS")}, ["EMPTY_CLASS", "BAD_RECORD"]),
        ({"fail_on": ("WARNING",), "allow": ("OTHER_FILE", "UNUSUAL_RECORD", "EMPTY_CLASS", "BAD_RECORD")}, ["LEAKED_RECORD"]),
        ({"fail_on": ("LEAKED_RECORD",), "exclude_splits": ("train", "eval")[:1]}, ["LEAKED_RECORD"]),
        ({"fail_on": ()}, []),
    ],
)
def test_whether_a_leak_blocks_is_chosen(statistics: Artifact, tmp_path: Path, parameters: dict[str, Any], blocking: list[str]) -> None:
    outputs = validated(tmp_path, statistics, **parameters)
    verdict, summary = verdict_of(outputs), outputs["anomalies"].summary()
    assert (verdict.blocks, summary["blocked"]) == (bool(blocking), bool(blocking))
    assert [record["kind"] for record in summary["records"] if record["blocks"]] == blocking
    if blocking:
        assert [reason.partition(":")[0] for reason in verdict.reasons] == blocking


def test_an_anomaly_of_a_size_names_the_files_with_the_extremes(statistics: Artifact, tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_text('feature { name: "image/width" type: INT int_domain { min: 1 max: 500 } }')
    verdict = verdict_of(validated(tmp_path, statistics, Schema(tmp_path), allow=("SCHEMA_NEW_COLUMN",)))
    assert "lowest 16 in train/a/train0.jpg; highest 900 in train/b/huge.jpg" in verdict.reasons[0]


def test_a_terminal_shows_what_and_where(examples: Artifact, statistics: Artifact, tmp_path: Path) -> None:
    shown = text_of(show_examples.render(examples.summary()))
    for wanted in ("image, bytes", "16 to 900", "left out: 1 (does not decode)", "1 record in more than one split", "train/b/huge.jpg"):
        assert wanted in shown
    shown = text_of(show_anomalies.render(validated(tmp_path, statistics)["anomalies"].summary()))
    assert "LEAKED_RECORD" in shown
    assert "train/a/train4.jpg (train) = val/a/same.jpg (eval)" in shown


def test_a_table_of_messages_is_validated_with_its_copies(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": b"n\n1\n1\n2\n"})
    statistics = run(StatisticsGen, tmp_path, inputs={"examples": generate(CsvExampleGen, tmp_path, input="a.csv")["examples"]})[
        "statistics"
    ]
    assert verdict_of(validated(tmp_path, statistics)).reasons == (
        "3 rows in all: 1 anomaly, which does not block.",
        "DUPLICATE_RECORD: 1 record equals an earlier one of split 'all': a.csv, row 1 = a.csv, row 2.",
    )


def text_of(shown: list[Any]) -> str:
    from rich.console import Console

    console = Console(width=300, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for one in shown:
        console.print(one)
    return console.export_text()
