"""Components that train, judge and push models of nothing, in the run's own process: for tests of what is known of models."""

from __future__ import annotations

import json
from typing import Any

from pipeline.artifacts import Examples, ExampleStatistics, Model, ModelBlessing, ModelEvaluation, PushedModel, Schema
from pipeline.component import Component, Input, Output

DIGEST = "0" * 64


class Reading(Component):
    """Makes examples of one split, and says which columns they have."""

    isolated = False

    def execute(self, context, examples: Output[Examples], *, rows: int = 10) -> None:  # type: ignore[no-untyped-def]
        (examples.path / "Split-train").mkdir()
        (examples.path / "Split-train" / "data").write_text(str(rows))
        examples.set_splits(["train"])
        examples.set_record_counts({"train": rows})
        examples.write_summary({"columns": [{"name": "fare", "type": "FLOAT", "missing": 0}], "record_counts": {"train": rows}})


class Measuring(Component):
    """Makes statistics of examples: a number around their rows, and a text that says whether they are many."""

    isolated = False

    def execute(self, context, examples: Input[Examples], statistics: Output[ExampleStatistics]) -> None:  # type: ignore[no-untyped-def]
        rows = examples.record_counts["train"]
        common = {"present": rows, "missing": 0, "values": rows, "min_values_per_row": 1, "max_values_per_row": 1}
        histogram = [{"low": 0.0, "high": float(rows), "count": rows}]
        numeric = {"mean": rows / 2, "std": 1.0, "min": 0.0, "median": 1.0, "max": float(rows), "zeros": 0, "not_a_number": 0}
        features = [
            {"name": "fare", "type": "FLOAT", **common, "numeric": {**numeric, "histogram": histogram, "quantiles": []}},
            {"name": "size", "type": "STRING", **common, "strings": _strings(rows)},
        ]
        (statistics.path / "FeatureStats.pb").write_text(str(rows))
        statistics.write_summary({"splits": {"train": {"rows": rows, "features": features, "slices": {}}}})


def _strings(rows: int) -> dict[str, Any]:
    few = min(rows, 10)
    values = [{"value": "few", "count": few}, {"value": "many", "count": rows - few}]
    return {"unique": 2, "mean_length": 4.0, "top_values": [value for value in values if value["count"]]}


class Describing(Component):
    """Makes a schema of one feature."""

    isolated = False

    def execute(self, context, schema: Output[Schema], *, least: int = 0) -> None:  # type: ignore[no-untyped-def]
        (schema.path / "schema.pbtxt").write_text(str(least))
        feature = {"name": "fare", "type": "FLOAT", "min_fraction": 1.0, "domain": {"min": least, "max": None}}
        schema.write_summary({"environments": [], "features": [feature]})


class Training(Component):
    """Makes a model; a user's function may name its quality."""

    isolated = False
    user_code = ("module",)

    def execute(
        self,
        context,
        examples: Input[Examples],
        schema: Input[Schema],
        model: Output[Model],
        *,
        quality: float = 0.5,
        module: str | None = None,
    ) -> None:  # type: ignore[no-untyped-def]
        found = context.load(module, default="quality")() if module else quality
        (model.path / "weights").write_text(str(found))
        model.write_summary({"way": "build_model", "metrics": {"loss": 1 - found}})


class Judging(Component):
    """Blesses a model whose quality is high enough."""

    isolated = False

    def execute(
        self, context, model: Input[Model], evaluation: Output[ModelEvaluation], blessing: Output[ModelBlessing], *, at_least: float = 0.8
    ) -> None:  # type: ignore[no-untyped-def]
        quality = float((model.path / "weights").read_text())
        (evaluation.path / "metrics").write_text(str(quality))
        metrics = {"auc": {"candidate": {"value": quality, "lower": quality - 0.01, "upper": quality + 0.01}}}
        evaluation.write_summary({"slices": [{"slice": {}, "name": "all rows", "examples": 10, "error": "", "metrics": metrics}]})
        blessed = quality >= at_least
        (blessing.path / "blessing.json").write_text(json.dumps({"verdict": blessed}))
        blessing.properties["blessed"] = int(blessed)
        context.decide("blessed" if blessed else "not blessed", [f"auc is {quality}, the bound is {at_least}"])


class Pushing(Component):
    """Serves a blessed model as the next version of the destination, with the record that the Pusher leaves there."""

    isolated = False
    cacheable = False

    def execute(
        self, context, model: Input[Model], blessing: Input[ModelBlessing], pushed: Output[PushedModel] | None, *, destination: str
    ) -> None:  # type: ignore[no-untyped-def]
        if not blessing.properties["blessed"]:
            context.decide("not pushed", ["the model is not blessed"])
            return
        folder = context.path(destination)
        version = folder / str(1 + len(list(folder.glob("*"))))
        (version / "assets.extra").mkdir(parents=True)
        (version / "saved_model.pb").write_text("1")
        record = {"digest": DIGEST, "size": 1, "pushed": "2026-01-31T00:00:00Z", "model": model.name, "model_id": model.id}
        (version / "assets.extra/cauce.json").write_text(json.dumps(record))
        (pushed.path / "saved_model.pb").write_text("1")  # type: ignore[union-attr]
        pushed.properties["pushed_destination"] = str(version)  # type: ignore[union-attr]
        context.decide("pushed", [f"Version {version.name}."])


def modelling(rows: int = 10, *, quality: float = 0.9, module: str | None = None, least: int = 0) -> tuple[Component, ...]:
    """Returns the ends of a pipeline that trains, judges and pushes a model."""
    examples, schema = Reading(rows=rows), Describing(least=least)
    trainer = Training(examples, schema, quality=quality, module=module)
    judge = Judging(trainer)
    return Measuring(examples), Pushing(trainer, judge.outputs["blessing"], destination="serving/fake")
