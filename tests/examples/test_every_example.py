"""What each example promises, from a CSV file to a served model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples.project import REPOSITORY
from tests.examples.session import Session
from tests.sessions import masked, sessions

pytestmark = pytest.mark.tensorflow

NODES = ["ImportSchema", "CsvExampleGen", "Resolver", "StatisticsGen", "Transform", "ExampleValidator", "Trainer", "Evaluator", "Pusher"]
ROWS = {"taxi": 15_002, "bikes": 17_379, "penguins": 344}
HEAVY = {"tensorflow", "apache_beam", "pyarrow", "pandas", "tensorflow_transform", "tensorflow_data_validation", "keras"}


def test_first_run_does_every_node_and_pushes_version_1(session: Session) -> None:
    assert session.first.code == 0, session.first.err
    states = {name: node["state"] for name, node in session.first_nodes.items()}
    assert states == {name: "selected" if name == "Resolver" else "done" for name in NODES}
    verdicts = {name: node["verdict"]["kind"] for name, node in session.first_nodes.items() if node["verdict"]}
    assert verdicts == {"ExampleValidator": "valid", "Evaluator": "blessed", "Pusher": "pushed"}
    assert "1" in session.project.versions()


def test_no_row_is_lost(session: Session) -> None:
    name = session.project.name
    rows = session.first_nodes["CsvExampleGen"]["rows"]
    assert rows["read"] == sum(rows["written"].values()) == ROWS[name]
    assert f"{ROWS[name]:,} rows in train, eval: no anomalies." in session.first.out


def test_second_run_reuses_everything_and_loads_no_heavy_library(session: Session) -> None:
    assert session.again.code == 0
    assert {name: node["state"] for name, node in session.again_nodes.items()} == {
        name: "selected" if name == "Resolver" else "cached" for name in NODES
    }
    imported = set(re.findall(r"^import time: +\d+ \| +\d+ \| +([^.\s]+)$", session.again.err, re.MULTILINE))
    assert "pipeline" in imported
    assert imported & HEAVY == set()
    (run,) = re.findall(r"^run (\S+) done", session.again.out, re.MULTILINE)
    assert not (session.project.root / "logs" / run / "worker.server.log").exists()
    assert f"run {run} done" in session.again.out
    assert session.again.out.rpartition("run ")[2].partition("\n")[0].endswith(": nothing changed")


def test_changed_line_of_features_is_named_and_reruns_only_what_depends_on_it(session: Session) -> None:
    changed = session.changed
    reason = f"features.py changed (line {changed.line})"
    actions = {node["id"]: node["action"] for node in changed.planned}
    after = ["Trainer", "Evaluator", "Pusher"]
    assert next(name for name in NODES if actions[name] == "run") == "Transform"
    assert {name for name in NODES if actions[name] in ("run", "waits")} == {"Transform", *after}
    assert reason in next(node["reasons"] for node in changed.planned if node["id"] == "Transform")
    assert {name for name, node in changed.nodes.items() if node["state"] == "done"} == {"Transform", *after}
    assert changed.nodes["Transform"]["reasons"] == [reason]


def test_readme_shows_what_the_commands_print(session: Session) -> None:
    readme = sessions(REPOSITORY / "examples" / session.project.name / "README.md")
    (first,) = readme.pop("run")
    assert first.command == f"cauce run examples/{session.project.name}"
    assert masked(session.first.out) == masked(first.printed)
    for steps in readme.values():
        for step in steps:
            said = session.shown[step.command]
            assert (said.code, masked(said.out)) == (0, masked(step.printed)), step.command


SERVED: dict[str, list[dict[str, Any]]] = {
    "taxi": [
        {
            "fare": 22.5, "trip_miles": 8.4, "trip_seconds": 1500, "trip_start_timestamp": 1400269500, "trip_start_month": 5,
            "trip_start_day": 6, "trip_start_hour": 19, "payment_type": payment, **place,
        }
        for payment, place in [
            ("Credit Card", {}),
            ("Cash", {}),
            ("Cash", {"company": "One that is new", "pickup_community_area": 6, "pickup_latitude": 41.944, "pickup_longitude": -87.656}),
        ]
    ],
    "bikes": [
        {
            "season": 3, "yr": 1, "mnth": 7, "hr": hour, "holiday": 0, "weekday": 3, "workingday": 1, "weathersit": 1,
            "temp": 0.7, "atemp": 0.65, "hum": 0.5, "windspeed": 0.1,
        }
        for hour in (3, 17)
    ],
    "penguins": [
        {"island": island, "bill_length_mm": length, "bill_depth_mm": depth, "flipper_length_mm": "NA", "body_mass_g": mass, "sex": sex}
        for island, length, depth, mass, sex in [
            ("Torgersen", "39.1", "18.7", "3750", "male"),
            ("Dream", "49.5", "18.9", "3800", "NA"),
            ("Biscoe", "47.6", "14.5", "5400", "female"),
        ]
    ],
}  # fmt: skip
"""Rows without the label, and without what may be missing."""


@pytest.fixture(scope="module")
def answers(session: Session) -> dict[str, list[Any]]:
    """What the served model answers to the rows, in a process that knows nothing of cauce."""
    assert session.first.code == 0
    done = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).with_name("serve.py")), str(session.project.serving / "1")],
        input=json.dumps(SERVED[session.project.name]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not {"pipeline", "components", "tensorflow_transform", "tfx_bsl", "apache_beam"} & set(said["modules"])
    outputs: dict[str, list[Any]] = said["outputs"]
    return outputs


def test_tensorflow_alone_serves_rows_without_label_and_with_missing_values(session: Session, answers: dict[str, list[Any]]) -> None:
    predictions = answers["predictions"]
    assert len(predictions) == len(SERVED[session.project.name])
    match session.project.name:
        case "taxi":
            (card,), (cash,), (cash_of_a_new_company,) = predictions
            assert card > 0.5 > max(cash, cash_of_a_new_company)
        case "bikes":
            (night,), (evening,) = predictions
            assert 0 <= night < 50 < 200 < evening
        case "penguins":
            assert answers["predicted_class"] == ["Adelie", "Chinstrap", "Gentoo"]
            assert [sum(row) for row in predictions] == pytest.approx([1, 1, 1])


def test_tfdv_and_tft_open_statistics_schema_anomalies_and_transform(session: Session) -> None:
    import tensorflow_data_validation as tfdv
    import tensorflow_transform as tft
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    assert session.first.code == 0
    project = session.project
    schema = tfdv.load_schema_text(str(project.only("Schema") / "schema.pbtxt"))
    assert schema == tfdv.load_schema_text(str(REPOSITORY / "schemas" / f"{project.name}.pbtxt"))
    counts = {}
    for split in ("train", "eval"):
        statistics = tfdv.load_stats_binary(str(project.only("ExampleStatistics") / f"Split-{split}" / "FeatureStats.pb"))
        counts[split] = statistics.datasets[0].num_examples
        anomalies = anomalies_pb2.Anomalies.FromString((project.only("ExampleAnomalies") / f"Split-{split}" / "SchemaDiff.pb").read_bytes())
        assert anomalies.anomaly_info == tfdv.validate_statistics(statistics, schema).anomaly_info == {}
    assert counts == session.first_nodes["CsvExampleGen"]["rows"]["written"]
    transform = tft.TFTransformOutput(str(project.only("TransformGraph")))
    needed = set(json.loads((project.only("Model") / "summary.json").read_text())["raw_features"])
    assert needed <= set(transform.raw_feature_spec())
    assert len(transform.transformed_feature_spec()) > 1


def test_transformed_examples_are_what_the_transform_makes_of_the_examples(session: Session) -> None:
    import numpy as np
    import tensorflow as tf
    import tensorflow_transform as tft

    assert session.first.code == 0
    transform = tft.TFTransformOutput(str(session.project.only("TransformGraph")))
    raw, transformed = (Path(artifact["uri"]) / "Split-eval" for artifact in session.project.live("Examples")[:2])
    rows, expected = ([*_records(folder)][:50] for folder in (raw, transformed))
    made = transform.transform_raw_features(tf.io.parse_example(rows, transform.raw_feature_spec()))
    spec = transform.transformed_feature_spec()
    wanted = tf.io.parse_example(expected, spec)
    assert set(made) == set(wanted)
    for name in spec:
        np.testing.assert_allclose(made[name].numpy(), wanted[name].numpy(), rtol=1e-5, err_msg=name)


def _records(folder: Path) -> list[bytes]:
    import tensorflow as tf

    return list(tf.data.TFRecordDataset([str(file) for file in sorted(folder.iterdir())], compression_type="GZIP").as_numpy_iterator())


def test_tfma_opens_evaluation_and_validation(session: Session) -> None:
    import tensorflow_model_analysis as tfma

    assert session.first.code == 0
    folder = str(session.project.only("ModelEvaluation"))
    result = tfma.load_eval_result(folder)
    slices = {key for key, _ in result.slicing_metrics}
    assert () in slices and len(slices) > 2
    assert tfma.load_validation_result(folder).validation_ok


def test_metrics_of_the_verdict_are_those_of_the_served_model_by_their_definitions(session: Session) -> None:
    import numpy as np
    import tensorflow as tf
    from scipy.stats import mannwhitneyu

    assert session.first.code == 0
    rows = _records(session.project.only("Examples") / "Split-eval")
    served = tf.saved_model.load(str(session.project.serving / "1"))
    predictions = served.signatures["serving_default"](examples=tf.constant(rows))["predictions"].numpy()
    label = {"taxi": "big_tip", "bikes": "cnt", "penguins": "species"}[session.project.name]
    labels = np.ravel(served.signatures["transform_features"](examples=tf.constant(rows))[label].numpy())
    summary = json.loads((session.project.only("ModelEvaluation") / "summary.json").read_text())
    overall = {name: value["candidate"]["value"] for name, value in summary["slices"][0]["metrics"].items()}
    match session.project.name:
        case "taxi":
            tip, none = predictions[labels == 1, 0], predictions[labels == 0, 0]
            assert overall["auc"] == pytest.approx(mannwhitneyu(tip, none).statistic / (len(tip) * len(none)), abs=1e-3)
            assert overall["binary_accuracy"] == pytest.approx(np.mean((predictions[:, 0] > 0.5) == labels))
        case "bikes":
            errors = predictions[:, 0] - labels
            assert overall["root_mean_squared_error"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)
            assert overall["mean_absolute_error"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)
            assert overall["r2_score"] == pytest.approx(1 - np.mean(errors**2) / np.var(labels), rel=1e-4)
        case "penguins":
            assert overall["sparse_categorical_accuracy"] == pytest.approx(np.mean(predictions.argmax(axis=1) == labels))


def test_ml_metadata_s_own_client_reads_types_contexts_and_events_as_tfx_names_them(session: Session) -> None:
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    assert session.first.code == 0
    name = session.project.name
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(session.project.root / "metadata.db")
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    types = {"Schema", "Examples", "ExampleStatistics", "ExampleAnomalies", "TransformGraph", "Model", "ModelRun", "ModelEvaluation"}
    assert {kind.name for kind in store.get_artifact_types()} == {*types, "ModelBlessing", "PushedModel"}
    assert [context.name for context in store.get_contexts_by_type("pipeline")] == [name]
    assert {context.name for context in store.get_contexts_by_type("node")} == {f"{name}.{node}" for node in NODES}
    run = store.get_contexts_by_type("pipeline_run")[0]
    assert [context.name for context in store.get_parent_contexts_by_context(run.id)] == [name]
    executions = {execution.type.rpartition(".")[2]: execution for execution in store.get_executions_by_context(run.id)}
    assert set(executions) == set(NODES)
    assert {execution.last_known_state for execution in executions.values()} == {mlmd.Execution.COMPLETE}
    events = {
        (mlmd.Event.Type.Name(event.type), event.path.steps[0].key, event.path.steps[1].index)
        for event in store.get_events_by_execution_ids([executions["Trainer"].id])
    }
    assert events == {
        ("INPUT", "examples", 0),
        ("INPUT", "transform_graph", 0),
        ("INPUT", "schema", 0),
        ("OUTPUT", "model", 0),
        ("OUTPUT", "model_run", 0),
    }
