"""`cauce artifacts`: what is inside an artifact of each type, from summaries laid out as `schemas/summaries/` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components import Importer
from tests.cli import cauce
from tests.fakes import Source
from tests.light import Halver
from tests.project import Project

SCHEMAS = Path(__file__).parents[1] / "schemas" / "summaries"
CHANGE = {
    "feature": "sex",
    "what": "values",
    "before": "",
    "after": "",
    "text": "'sex' has values that the schema does not list: 'unknown'.",
}
NUMERIC = {
    "mean": 43.92,
    "std": 5.45,
    "min": 32.1,
    "median": 44.45,
    "max": 59.6,
    "zeros": 3,
    "not_a_number": 0,
    "histogram": [],
    "quantiles": [],
}

SUMMARIES: dict[str, dict[str, Any]] = {
    "Examples": {
        "splits": {"train": {"rows": 229, "bytes": 47000}, "eval": {"rows": 115, "bytes": 23600}},
        "columns": [
            {"name": "bill", "type": "float32", "missing": 2, "empty_lists": 0},
            {"name": "sex", "type": "bytes", "missing": 0, "empty_lists": 0},
        ],
        "files": ["data/penguins.csv"],
        "span": 3,
        "version": None,
    },
    "ExampleStatistics": {
        "splits": {
            "train": {
                "rows": 229,
                "features": [
                    {
                        "name": "bill",
                        "type": "FLOAT",
                        "present": 227,
                        "missing": 2,
                        "values": 227,
                        "min_values_per_row": 1,
                        "max_values_per_row": 1,
                        "numeric": NUMERIC,
                    },
                    {
                        "name": "island",
                        "type": "STRING",
                        "present": 229,
                        "missing": 0,
                        "values": 229,
                        "min_values_per_row": 1,
                        "max_values_per_row": 1,
                        "strings": {
                            "unique": 2,
                            "mean_length": 6.1,
                            "top_values": [{"value": "Biscoe", "count": 112.0}, {"value": "[red]", "count": 82.0}],
                        },
                    },
                ],
                "slices": {"sex_male": 111},
            }
        }
    },
    "Schema": {
        "environments": ["TRAINING", "SERVING"],
        "features": [
            {
                "name": "species",
                "type": "BYTES",
                "min_fraction": 1.0,
                "min_count": 1,
                "shape": [1],
                "value_count": None,
                "domain": {"values": ["Adelie", "Gentoo"]},
                "in_environment": [],
                "not_in_environment": ["SERVING"],
                "lifecycle_stage": None,
            },
            {
                "name": "bill",
                "type": "FLOAT",
                "min_fraction": 0.95,
                "min_count": 1,
                "shape": None,
                "value_count": [0, 2],
                "domain": {"min": 30.0, "max": None},
                "in_environment": [],
                "not_in_environment": [],
                "lifecycle_stage": "DEPRECATED",
            },
        ],
        "changes": [CHANGE],
    },
    "ExampleAnomalies": {
        "blocked": True,
        "schema_file": "schemas/penguins.pbtxt",
        "splits": {
            "train": {"rows": 229, "anomalies": [], "drift": []},
            "eval": {
                "rows": 115,
                "anomalies": [
                    {
                        "split": "eval",
                        "feature": "sex",
                        "kinds": ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"],
                        "severity": "ERROR",
                        "short": "Unexpected string values",
                        "description": "",
                        "facts": "in 115 of 115 rows; 'unknown' 3 times, 2.61%",
                        "unexpected": [{"value": "unknown", "count": 3, "share": 0.0261}],
                        "changes": [CHANGE],
                        "blocks": True,
                    }
                ],
                "drift": [
                    {
                        "feature": "island",
                        "kind": "drift",
                        "measure": "L_INFTY",
                        "value": 0.013,
                        "threshold": 0.01,
                        "exceeds": True,
                        "values_before": 110.0,
                        "values_now": 115.0,
                        "chance": {"method": "permutation", "observed": 0.013, "expected": 0.02, "upper": 0.05, "p_value": 0.734},
                        "changed": [{"value": "'Dream'", "before": 0.35, "now": 0.363}],
                        "note": "",
                    }
                ],
            },
        },
        "span": 3,
        "baselines": [{"kind": "drift", "span": 2, "rows": {"eval": 110}}],
        "changes": [CHANGE],
    },
    "RetrainingDecision": {
        "retrain": False,
        "reason": "No data are new since model 8.",
        "policy": "new data and model older than 30 days",
        "rules": [
            {"rule": "new data", "holds": False, "text": "no data are new since model 8"},
            {"rule": "model older than 30 days", "holds": True, "text": "model 8 is 31 days old, more than 30 days"},
        ],
    },
    "TransformGraph": {
        "inputs": ["bill", "island"],
        "features": [
            {"name": "bill", "dtype": "float32", "kind": "FixedLenFeature", "shape": [], "domain": None, "categorical": False},
            {"name": "island", "dtype": "int64", "kind": "FixedLenFeature", "shape": [1], "domain": [0, 3], "categorical": True},
        ],
        "vocabularies": [{"name": "island", "size": 3, "first": ["Biscoe", "Dream", "Torgersen"]}],
        "values": {"scale_to_z_score_sub_y": 44.006, "bucketize_boundaries": [[1.0, 2.5]], "compute_and_apply_vocabulary_x": 3},
    },
    "Model": {
        "way": "build_model",
        "label": "species",
        "classes": ["Adelie", "Gentoo"],
        "parameters": 12243,
        "metrics": {"loss": 0.0104861, "val_accuracy": 1.0},
        "raw_features": ["bill", "island"],
    },
    "ModelRun": {
        "way": "build_model",
        "steps": 160,
        "batch_size": 32,
        "seed": 0,
        "best_round": 12,
        "history": {"loss": [1 / (number + 1) for number in range(12)], "val_loss": [2.0] * 12},
    },
    "ModelEvaluation": {
        "label": "species",
        "splits": ["eval"],
        "examples": 115,
        "baseline": True,
        "slices": [
            {
                "slice": {},
                "name": "all rows",
                "examples": 115,
                "error": "",
                "metrics": {
                    "auc": {
                        "candidate": {"value": 0.91, "lower": 0.9, "upper": 0.92},
                        "baseline": {"value": 0.9},
                        "difference": {"value": 0.01},
                    },
                    "recall of Adelie": {"metric": "recall", "class": "Adelie", "candidate": {"value": 0.9}},
                    "recall of Gentoo": {"metric": "recall", "class": "Gentoo", "candidate": {"value": 0.8}},
                    "precision of Gentoo": {"metric": "precision", "class": "Gentoo", "candidate": {"value": None}},
                },
            },
            {"slice": {"island": "Dream"}, "name": "island=Dream", "examples": 4, "error": "fewer than 10 rows", "metrics": {}},
        ],
        "slices_left_out": 7,
        "task": "classes",
        "classes": ["Adelie", "Gentoo"],
        "steps": None,
        "plots": {"candidate": {"confusion": {"classes": ["Adelie", "Gentoo"], "rows": [[50, 3], [2, 60]]}}},
        "pictures": [{"file": "pictures/confusion.png", "title": "Confusion matrix", "plot": "confusion"}],
        "worst": {
            "measure": "log loss",
            "loss": [
                {
                    "split": "eval",
                    "file": "data_tfrecord-00000-of-00001.gz",
                    "record": 17,
                    "digest": "0123456789abcdef",
                    "key": None,
                    "truth": "Adelie",
                    "prediction": "Gentoo",
                    "confidence": 0.99,
                    "loss": 4.6,
                    "scores": [{"name": "Gentoo", "value": 0.99}, {"name": "Adelie", "value": 0.01}],
                    "features": {"island": ["Dream"], "note": ["found twice"]},
                    "media": [],
                }
            ],
            "mistakes": [],
        },
    },
    "ModelBlessing": {
        "verdict": "not blessed",
        "reasons": ["auc on all rows is 0.71; it must be at least 0.8."],
        "checks": [
            {
                "metric": "auc",
                "slice": "all rows",
                "rule": "at least 0.8",
                "passed": False,
                "text": "auc on all rows is 0.71; it must be at least 0.8.",
                "value": 0.71,
                "lower": None,
                "upper": None,
                "baseline": None,
                "difference": None,
            }
        ],
    },
    "PushedModel": {"destination": "serving/penguins", "version": 3, "digest": "0" * 64},
}

SHOWN = {
    "Examples": """
split  rows  share  size
eval  115  33.4 %  23.6 kB
train  229  66.6 %  47.0 kB

column  type  missing  share
bill  float32  2  0.6 %
sex  bytes  0

read from data/penguins.csv""",
    "ExampleStatistics": """
split train: 229 rows
feature  type  missing  mean  std  min  median  max  zeros  unique  most frequent
bill  float  0.9 %  43.92  5.45  32.1  44.45  59.6  1.3 %
island  string  2  Biscoe 112, [red] 82
slices: sex_male 111""",
    "Schema": """
feature  type  presence  values a row  domain
species  BYTES  each row  1  Adelie, Gentoo  not in SERVING
bill  FLOAT  95.0 % of rows  0 to 2  30 to -  deprecated
environments: TRAINING, SERVING

the data ask for
  values: 'sex' has values that the schema does not list: 'unknown'.""",
    "ExampleAnomalies": """
blocked: the data may not be used as they are

split eval: 115 rows, 1 anomaly
feature  severity  blocks  what  counts
sex  error  yes  Unexpected string values.  in 115 of 115 rows; 'unknown' 3 times, 2.61%
feature  measure  distance  threshold  by chance  changed most
island  drift  l infty  0.013  0.01  73.4 %  'Dream' 35.0 % -> 36.3 %

split train: 229 rows, no anomalies

to review what would make the schema accept the data: cauce schema diff schemas/penguins.pbtxt""",
    "RetrainingDecision": """
no model is trained
  No data are new since model 8.
  The policy: new data and model older than 30 days.

asks for it  rule  because
no  new data  no data are new since model 8
yes  model older than 30 days  model 8 is 31 days old, more than 30 days""",
    "TransformGraph": """
takes 2 features: bill, island

gives  type  kind  range
bill  float32  FixedLen
island  int64  FixedLen [1]  0 to 3, categories

vocabulary  terms  most frequent
island  3  Biscoe, Dream, Torgersen

learned  value
bucketize_boundaries  1, 2.5
scale_to_z_score_sub_y  44.006""",
    "Model": """
made by  build_model
label  species
classes  Adelie, Gentoo
parameters  12,243
needs  bill, island

metric in training  value
loss  0.010486
val_accuracy  1""",
    "ModelRun": """
steps  160
batch size  32
seed  0
best round  12

round  loss  val_loss
    3  0.33333  2
    4  0.25  2
    5  0.2  2
    6  0.16667  2
    7  0.14286  2
    8  0.125  2
    9  0.11111  2
   10  0.1  2
   11  0.090909  2
   12  0.083333  2
the last 10 of 12 rounds""",
    "ModelEvaluation": """
label species, split eval, 115 rows, against a baseline model

slice  rows  auc  auc (baseline)  auc (difference)
all rows  115  0.91 [0.9, 0.92]  0.9  0.01
island=Dream  4  fewer than 10 rows
7 smaller slices are in TFMA's result files

class  precision  recall
Adelie  0.9
Gentoo  -  0.8

confusion matrix: rows are the truth, columns the prediction
truth  Adelie  Gentoo
Adelie  50  3
Gentoo  2  60

highest log loss, 1 of 1 rows to look at (all: --json)
row  where  truth  prediction  confidence  loss
found twice  eval/data_tfrecord-00000-of-00001.gz record 17  Adelie  Gentoo  0.99  4.6

pictures: pictures/confusion.png""",
    "ModelBlessing": """
not blessed
  auc on all rows is 0.71; it must be at least 0.8.

threshold  metric  slice  value  baseline  must be
FAILED  auc  all rows  0.71  at least 0.8""",
    "PushedModel": f"""
destination  serving/penguins
digest  {"0" * 64}
version  3

file  size
summary.json  133 B""",
}


def make(project: Project, type_name: str, summary: object, **files: str) -> str:
    """Makes an artifact of a type with a summary; returns the run."""
    folder = project.folder / type_name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    return project.run(Importer(source=type_name, artifact_type=type_name)).result.run


def payload(project: Project) -> Path:
    """Returns the folder of the only artifact."""
    (folder,) = project.published()
    return folder


@pytest.mark.parametrize("type_name", SUMMARIES)
def test_what_is_inside_an_artifact_is_shown(project: Project, type_name: str) -> None:
    schema = json.loads((SCHEMAS / f"{type_name}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(SUMMARIES[type_name])
    run = make(project, type_name, SUMMARIES[type_name])
    said = cauce("artifacts", "show", 1, root=project.root)
    head, _, body = said.plain(project.folder, [run]).partition("\n\n")
    assert head.splitlines()[:2] == [
        f"{type_name} 1  LIVE",
        f"made by Importer in run RUN1, TIME, {head.splitlines()[1].rpartition(', ')[2]}",
    ]
    assert body.replace("DIGEST", "0" * 64) == SHOWN[type_name].strip("\n"), body


def test_the_header_tells_type_producer_run_size_path_digest_and_properties(project: Project) -> None:
    run = make(project, "Model", {}, weights="abc")
    said = cauce("artifacts", "show", "latest:Model", root=project.root).plain(project.folder, [run])
    assert said.startswith(
        "Model 1  LIVE\nmade by Importer in run RUN1, TIME, 6 B\npath  DIR/root/artifacts/fake/Importer/result/RUN1.1\n"
        "digest DIGEST\nsource: Model\n"
    ), said


def test_an_artifact_of_an_unknown_type_shows_its_files(project: Project) -> None:
    project.run(Halver(Source()))
    assert cauce("artifacts", "show", 2, root=project.root).out.endswith("\n\nfile          size\nnumbers.json   9 B\n")


def test_of_many_files_the_first_are_shown(project: Project) -> None:
    make(project, "Model", {}, **{f"file{number:03d}": "x" for number in range(50)})
    assert cauce("artifacts", "show", 1, root=project.root).out.endswith("and 21 more files\n")


@pytest.mark.parametrize("type_name", SUMMARIES)
def test_keys_that_are_missing_are_taken_for_unknown(project: Project, type_name: str) -> None:
    def without_keys(value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {} if depth == 0 else {name: without_keys(item, depth - 1) for name, item in value.items()}
        return [without_keys(item, depth) for item in value] if isinstance(value, list) else value

    for depth in (1, 2, 3):
        make(project, type_name, without_keys(SUMMARIES[type_name], depth))
        said = cauce("artifacts", "show", f"latest:{type_name}", root=project.root)
        assert (said.code, said.err) == (0, "")
        assert "not laid out as expected" not in said.out, said.out


def test_a_summary_with_another_layout_is_told_and_nothing_breaks(project: Project) -> None:
    make(project, "ModelEvaluation", {"slices": {"auc": 3}})
    said = cauce("artifacts", "show", 1, root=project.root)
    assert said.code == 0
    assert "Its summary is not laid out as expected: AttributeError" in said.out


def test_a_damaged_summary_is_told(project: Project) -> None:
    make(project, "Model", {})
    (payload(project) / "summary.json").write_text("{")
    said = cauce("artifacts", "show", 1, root=project.root)
    assert (said.code, said.err) == (0, "")
    assert f"{payload(project) / 'summary.json'} is damaged: " in said.out
    assert "is damaged" in cauce("artifacts", "show", 1, "--json", root=project.root).json("artifacts-show")["problem"]


def test_a_blessing_is_read_from_blessing_json(project: Project) -> None:
    make(project, "ModelBlessing", {"verdict": "something else"}, **{"blessing.json": json.dumps(SUMMARIES["ModelBlessing"])})
    assert "\nnot blessed\n  auc on all rows is 0.71" in cauce("artifacts", "show", 1, root=project.root).out
    (payload(project) / "blessing.json").write_text("nothing")
    assert "blessing.json is damaged" in cauce("artifacts", "show", 1, root=project.root).out


def test_files_that_are_gone_are_told_with_the_command_that_makes_them_again(project: Project) -> None:
    make(project, "Model", {"way": "run_fn"}, weights="abc")
    (payload(project) / "weights").unlink()
    said = cauce("artifacts", "show", 1, root=project.root)
    assert "bytes, and 24 were published. Make it again: cauce run PATH --rerun Importer" in said.out, said.out
    assert "made by  run_fn" in said.out
    (payload(project) / "summary.json").unlink()
    payload(project).rmdir()
    said = cauce("artifacts", "show", 1, root=project.root)
    assert (said.code, " is missing. Make it again: cauce run PATH --rerun Importer" in said.out) == (0, True)


def test_what_gc_removed_is_still_known(project: Project) -> None:
    project.run(Source())
    assert cauce("gc", "--keep", 0, "--apply", root=project.root).code == 0
    said = cauce("artifacts", "show", 1, root=project.root)
    assert said.code == 0
    assert said.out.startswith("FakeNumbers 1  DELETED\nmade by Source in run ")
    assert "Its files were removed by cauce gc; the metadata store still knows where it came from." in said.out
    assert cauce("artifacts", "list", "--json", root=project.root).json("artifacts-list")[0]["state"] == "DELETED"


def test_an_artifact_as_json_has_its_summary(project: Project) -> None:
    run = make(project, "Model", SUMMARIES["Model"])
    shown = cauce("artifacts", "show", 1, "--json", root=project.root).json("artifacts-show")
    assert (shown["id"], shown["type"], shown["run"], shown["problem"]) == (1, "Model", run, None)
    assert shown["summary"] == SUMMARIES["Model"]


def test_artifacts_are_listed_oldest_first(project: Project) -> None:
    run = project.run(Halver(Source())).result.run
    assert (
        cauce("artifacts", root=project.root).plain(project.folder, [run])
        == """id  type  state  made by  run  created  size
 1  FakeNumbers  LIVE  Source  RUN1  TIME  9 B
 2  FakeNumbers  LIVE  Halver  RUN1  TIME  9 B"""
    )
    rows = cauce("artifacts", "list", "--json", root=project.root).json("artifacts-list")
    assert [row["id"] for row in rows] == [1, 2]
    assert {"id", "type", "name", "uri", "state", "created"} <= set(rows[0])
    assert Path(rows[1]["uri"]).is_dir()


def test_artifacts_of_one_type_are_listed_and_a_wrong_name_is_refused(project: Project) -> None:
    project.run(Source())
    make(project, "Model", {})
    assert [row["type"] for row in cauce("artifacts", "--type", "Model", "--json", root=project.root).json("artifacts-list")] == ["Model"]
    assert cauce("artifacts", "--type", "Schema", "--json", root=project.root).json("artifacts-list") == []
    assert cauce("artifacts", "--type", "Schema", root=project.root).err == f"There are no artifacts of type Schema in {project.root}.\n"
    said = cauce("artifacts", "--type", "FakeNumber", root=project.root)
    assert (said.code, said.err) == (2, "error: There is no artifact type 'FakeNumber'. Did you mean 'FakeNumbers'?\n")


def test_a_limit_shows_the_latest(project: Project) -> None:
    project.run(*(Source(id=f"source{number}", values=(number,)) for number in range(4)))
    said = cauce("artifacts", "--limit", 3, root=project.root)
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["2", "3", "4"]
    assert said.err == "The last 3. All of them: --limit 0\n"
    assert cauce("artifacts", "--limit", 4, root=project.root).err == ""
    assert [row["id"] for row in cauce("artifacts", "--limit", 3, "--json", root=project.root).json("artifacts-list")] == [2, 3, 4]


def test_an_artifact_that_does_not_exist_is_refused(project: Project) -> None:
    project.run(Source())
    said = cauce("artifacts", "show", 9, root=project.root)
    assert (said.code, said.err.splitlines()[-1]) == (2, "See them: cauce artifacts list")
