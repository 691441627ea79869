"""ChampionCheck: how good the model that is there is on data that have just arrived, before a new one is trained."""

from __future__ import annotations

from typing import Any, Literal

from components.evaluator import Evaluator
from components.portioned import span_name
from pipeline.artifacts import Examples, Model, ModelBlessing, ModelEvaluation, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DefinitionError

_SHOWN = 6


class ChampionCheck(Component):
    """Evaluates a model on new data with TensorFlow Model Analysis, and judges nothing: a RetrainingPolicy does.

    Without a champion it is skipped. It takes the time of an Evaluator, and no training.

    Inputs:
        examples: The new rows, as they were before the transform.
        model: The champion.
        schema: Tells the types of the features, which saves reading the others; optional.

    Outputs:
        evaluation: TFMA's result files, and `summary.json` (`schemas/summaries/ModelEvaluation.json`).

    Args:
        label: Name of the label.
        metrics: Names of metrics, as of the Evaluator.
        slices: Where they are computed besides on all rows, as of the Evaluator. Default: none.
        splits: Splits to evaluate, together. Default: `("eval",)`.
        prediction: The output of the serving signature to judge. Default: None, the only one, or the one with a usual name.
        weight: A numeric feature that holds the weight of a row. Default: None, all weigh the same.
        confidence_intervals: `bootstrap` or `jackknife`, 95 %. Default: `bootstrap`; None for none.

    Raises:
        DefinitionError: If a metric is not known, or none is given.
        DataError: If label, weight or a slice cannot be found, or a split has no rows.

    Example:
        check = ChampionCheck(examples, champion, label="big_tip", metrics=["AUC"])
    """

    needs = ("tensorflow_model_analysis",)
    libraries = ("tensorflow-model-analysis", "tensorflow")

    def validate(self) -> None:
        """Checks the parameters as an Evaluator does."""
        if not self.parameters["metrics"]:
            raise DefinitionError(f"Node '{self.id}': there is no metric to compute.", hint="For example: metrics=['AUC'].")
        Evaluator(self.inputs["examples"], self.inputs["model"], id=self.id, **self.parameters)

    def execute(
        self,
        context: Context,
        examples: Input[Examples],
        model: Input[Model],
        evaluation: Output[ModelEvaluation],
        schema: Input[Schema] | None = None,
        *,
        label: str,
        metrics: tuple[str, ...],
        slices: tuple[str | list[str] | tuple[str, ...], ...] = (),
        splits: tuple[str, ...] = ("eval",),
        prediction: str | None = None,
        weight: str | None = None,
        confidence_intervals: Literal["bootstrap", "jackknife"] | None = "bootstrap",
    ) -> None:
        """Evaluates the model; the blessing that an Evaluator gives with it is no part of the result."""
        blessing = ModelBlessing(context.temp / "blessing")
        blessing.path.mkdir(parents=True)
        object.__new__(Evaluator).execute(
            context,
            examples,
            model,
            evaluation,
            blessing,
            None,
            schema,
            label=label,
            metrics=metrics,
            slices=slices,
            splits=splits,
            prediction=prediction,
            weight=weight,
            confidence_intervals=confidence_intervals,
        )
        if "span" in examples.properties:
            evaluation.properties["span"] = examples.properties["span"]
        span = span_name(examples) if examples.properties.get("span") else None  # input without spans has the number 0
        context.decide("evaluated", [_sentence(evaluation.summary(), model.id, span)])


def _sentence(summary: dict[str, Any], model: int | None, span: str | None) -> str:
    """Returns the metrics on all rows, in words."""
    overall: dict[str, Any] = next(iter(summary["slices"]), {"metrics": {}})
    shown = []
    for name, values in list(overall["metrics"].items())[:_SHOWN]:
        found = values["candidate"]
        interval = f" (95 %: {found['lower']:.5g} to {found['upper']:.5g})" if found.get("lower") is not None else ""
        shown.append(f"{name} {'is not a number' if found['value'] is None else format(found['value'], '.5g')}{interval}")
    return f"Model {model} on {summary['examples'] or 0:,} rows{f' of span {span}' if span else ''}: {', '.join(shown)}."
