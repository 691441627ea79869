"""Summaries of every type of artifact, as their schemas have them, with names and values that mean harm."""

from __future__ import annotations

from typing import Any

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{7*7}}"
"""A name or value that must reach a page as text."""

_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f030005fe02fea72d8cd6"
    "0000000049454e44ae426082"
)
PICTURE = _PICTURE + bytes(16)


def statistics(rows: int = 100) -> dict[str, Any]:
    counts = {"present": rows, "missing": 10, "values": rows, "min_values_per_row": 1, "max_values_per_row": 1}
    numeric = {
        "mean": 2.5,
        "std": 1.0,
        "min": 0.0,
        "median": 2.0,
        "max": 5.0,
        "zeros": 3,
        "not_a_number": 0,
        "histogram": [
            {"low": 0.0, "high": 2.5, "count": 60.0},
            {"low": 2.5, "high": 5.0, "count": 40.0},
            {"low": 5.0, "high": None, "count": 1},
        ],
        "quantiles": [0.0, 1.0, 2.0, None],
    }
    strings = {"unique": 2, "mean_length": 4.0, "top_values": [{"value": HOSTILE, "count": 70.0}, {"value": "cash", "count": 30.0}]}
    lengths = {"mean": 10.0, "min": 1, "max": 20}
    features = [
        {"name": "fare", "type": "FLOAT", **counts, "numeric": numeric},
        {"name": HOSTILE, "type": "STRING", **counts, "strings": strings},
        {"name": "photo", "type": "BYTES", **counts, "bytes": lengths},
    ]
    split = {"rows": rows + 10, "features": features, "slices": {HOSTILE: 5}}
    return {"splits": {"train": split, "eval": {**split, "features": features[:2]}}}


def anomalies() -> dict[str, Any]:
    change = {"feature": HOSTILE, "what": "values", "before": "value: 'a'", "after": f"value: {HOSTILE}", "text": f"{HOSTILE} is new"}
    anomaly = {
        "split": "train",
        "feature": HOSTILE,
        "kinds": ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"],
        "severity": "ERROR",
        "short": "Unexpected string values",
        "description": f"Examples contain {HOSTILE}",
        "facts": "present in 10 of 10 rows",
        "unexpected": [{"value": HOSTILE, "count": 7, "share": 0.7}],
        "changes": [change],
        "blocks": True,
    }
    drift = {"feature": "fare", "kind": "drift", "measure": "JENSEN_SHANNON_DIVERGENCE", "value": 0.3, "threshold": 0.1}
    chance = {"method": "permutation", "observed": 0.3, "expected": 0.01, "upper": 0.02, "p_value": 0.001}
    sure = {
        **drift,
        "feature": HOSTILE,
        "exceeds": True,
        "values_before": 10,
        "values_now": 10,
        "chance": chance,
        "changed": [{"value": HOSTILE, "before": 0.1, "now": 0.4}],
        "note": "",
    }
    splits = {"train": {"rows": 10, "anomalies": [anomaly], "drift": [drift, sure]}, "eval": {"rows": 5, "anomalies": [], "drift": []}}
    record = {
        "kind": "BAD_RECORD",
        "severity": "WARNING",
        "blocks": False,
        "text": HOSTILE,
        "count": 3,
        "records": [HOSTILE],
        "splits": ["train"],
        "feature": "",
    }
    return {
        "blocked": True,
        "schema_file": "schemas/x.pbtxt",
        "splits": splits,
        "changes": [change],
        "records": [record],
        "baselines": [{"kind": "drift", "span": 3, "rows": {}}],
        "span": 4,
    }


def schema() -> dict[str, Any]:
    domains: list[dict[str, Any] | None] = [{"values": [HOSTILE, "cash"]}, {"min": 0.0, "max": None}, None]
    features = [
        {
            "name": f"{HOSTILE}{number}",
            "type": "BYTES",
            "min_fraction": 1.0,
            "min_count": 1,
            "shape": [1] if number else None,
            "value_count": [1, 1],
            "domain": domain,
            "in_environment": [],
            "not_in_environment": ["SERVING"],
            "lifecycle_stage": None,
        }
        for number, domain in enumerate(domains)
    ]
    return {"environments": ["TRAINING"], "features": features, "changes": []}


def transform_graph() -> dict[str, Any]:
    feature = {"name": HOSTILE, "dtype": "int64", "kind": "FixedLenFeature", "shape": [], "domain": [0, 9], "categorical": True}
    return {
        "inputs": [HOSTILE],
        "features": [feature, {**feature, "name": "varies", "shape": None, "domain": None}],
        "vocabularies": [{"name": HOSTILE, "size": 2, "first": [HOSTILE, ""]}],
        "values": {HOSTILE: 1.5, "bounds": [1, 2, 3]},
    }


def model_run() -> dict[str, Any]:
    rule = {"rule": "dead_relus", "action": "warn", "threshold": 0.5, "state": "fired", "reason": ""}
    finding = {
        "rule": "dead_relus",
        "action": "warn",
        "step": 100,
        "last_step": 300,
        "times": 3,
        "layer": HOSTILE,
        "value": 0.9,
        "threshold": 0.5,
        "text": f"{HOSTILE} is dead",
        "advice": "lower the learning rate",
    }
    curves = [
        {"name": "loss", "chart": "loss", "split": "train", "steps": [10, 20, 30], "values": [0.9, 0.5, None]},
        {"name": "val_loss", "chart": "loss", "split": "eval", "steps": [20, 30], "values": [0.6, 0.55]},
        {"name": HOSTILE, "chart": HOSTILE, "split": "none", "steps": [10], "values": [0.1]},
    ]
    return {
        "way": "build_model",
        "seed": 1,
        "steps": 30,
        "steps_per_round": 10,
        "batch_size": 4,
        "best_round": 2,
        "history": {"loss": [0.9, 0.5]},
        "curves": curves,
        "ended": "All steps were done.",
        "waiting": 0.1,
        "seconds": 12.5,
        "devices": ["CPU"],
        "watch": {"looks": 3, "seconds": 0.2, "rules": [rule], "findings": [finding]},
    }


def model() -> dict[str, Any]:
    return {
        "way": "build_model",
        "label": HOSTILE,
        "classes": [HOSTILE, "no"],
        "raw_features": [HOSTILE],
        "parameters": 12_345,
        "metrics": {"val_loss": 0.5},
    }


def evaluation() -> dict[str, Any]:
    both = {"candidate": {"value": 0.91, "lower": 0.9, "upper": 0.92}, "baseline": {"value": 0.9}, "difference": {"value": 0.01}}
    slices = [
        {"slice": {}, "name": "all rows", "examples": 100, "error": "", "metrics": {"auc": both, HOSTILE: {"candidate": {"value": None}}}},
        {"slice": {HOSTILE: "a"}, "name": f"{HOSTILE}=a", "examples": 60, "error": "", "metrics": {"auc": {"candidate": {"value": 0.8}}}},
        {"slice": {HOSTILE: "b"}, "name": f"{HOSTILE}=b", "examples": 40, "error": "", "metrics": {"auc": {"candidate": {"value": 0.95}}}},
        {"slice": {HOSTILE: "c"}, "name": f"{HOSTILE}=c", "examples": None, "error": "too few rows", "metrics": {}},
    ]
    curve = {"name": HOSTILE, "area": 0.91}
    side = {
        "confusion": {"classes": [HOSTILE, "no"], "rows": [[50, 10], [0, 0]]},
        "roc": [{**curve, "false_positive_rate": [0.0, 0.0, 1.0], "true_positive_rate": [0.0, 0.7, 1.0]}],
        "precision_recall": [{**curve, "recall": [0.0, 1.0], "precision": [1.0, 0.4]}],
        "calibration": {"of": HOSTILE, "error": 0.02, "predicted": [0.1, 0.9], "observed": [0.12, 0.88], "rows": [50, 50]},
        "residuals": {"edges": [-1.0, 0.0, 1.0], "rows": [40, 60]},
        "by_prediction": {"prediction": [1.0, 2.0], "residual": [0.1, -0.1], "deviation": [0.2, 0.3], "rows": [50, 50]},
        "by_step": {"step": [1, 2], "root_mean_squared_error": [1.0, 2.0], "mean_absolute_error": [0.5, 1.0], "mean_residual": [0.0, 0.1]},
    }
    row = {
        "split": "eval",
        "file": "data_tfrecord-00000-of-00001.gz",
        "record": 3,
        "digest": "0" * 16,
        "key": HOSTILE,
        "truth": HOSTILE,
        "prediction": "no",
        "confidence": 0.99,
        "loss": 4.6,
        "scores": [{"name": "no", "value": 0.99}],
        "features": {HOSTILE: [HOSTILE, 3]},
        "media": [{"feature": "photo", "file": "worst/0.png", "kind": "image/png"}],
    }
    return {
        "label": HOSTILE,
        "splits": ["eval"],
        "examples": 100,
        "baseline": True,
        "slices": slices,
        "slices_left_out": 2,
        "plots": {"candidate": side, "baseline": side},
        "worst": {"measure": "cross entropy", "loss": [row], "mistakes": [row]},
    }


def blessing() -> dict[str, Any]:
    check = {
        "metric": "auc",
        "slice": HOSTILE,
        "rule": "at least 0.8",
        "passed": False,
        "text": HOSTILE,
        "value": 0.7,
        "lower": 0.6,
        "upper": 0.8,
        "baseline": None,
    }
    return {"verdict": "not blessed", "reasons": [HOSTILE], "checks": [check, {**check, "passed": True}]}


def decision() -> dict[str, Any]:
    return {"retrain": False, "reason": HOSTILE, "policy": "more rows", "rules": [{"rule": HOSTILE, "holds": False, "text": HOSTILE}]}


def pushed() -> dict[str, Any]:
    return {"destination": HOSTILE, "version": 3, "digest": "0" * 64}


def examples() -> dict[str, Any]:
    issue = {"kind": "BAD_RECORD", "text": HOSTILE, "count": 9, "records": [HOSTILE], "splits": ["train"], "feature": ""}
    return {
        "splits": {"train": {"rows": 3, "bytes": 1_000}, "eval": {"rows": 0, "bytes": 0}},
        "columns": [{"name": HOSTILE, "type": "bytes", "content": "text", "missing": 1, "empty_lists": 0}],
        "files": [HOSTILE],
        "file_count": 1,
        "span": 4,
        "version": None,
        "dropped": {HOSTILE: 2},
        "duplicates": {"within": {"train": 1}, "across": 0},
        "issues": [issue],
    }
