"""Evaluator: how good the model is, slice by slice, and whether it is good enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from components.evaluator.metric import bundle_of, parse_metric, spread_bundles
from components.evaluator.threshold import METRICS, Threshold, check_plot, normalise_slices
from components.records import refuse_sequences, shard_files
from components.schema.file import FileDriver, read_schema_of
from components.serving import serving_path
from components.tensorflow_setup import grow_gpu_memory
from pipeline.artifacts import Examples, Model, ModelBlessing, ModelEvaluation, Schema
from pipeline.component import Component, Input, Output, spec_of
from pipeline.context import Context
from pipeline.errors import DefinitionError
from pipeline.resolution import ArtifactGroups, History
from pipeline.usercode import add_to_path


class EvaluatorDriver(FileDriver):
    """Keeps the champion that a model was judged against."""

    parameter = "eval_config"
    kind = "EvalConfig"

    def select_inputs(self, node: Component, inputs: ArtifactGroups, history: History) -> ArtifactGroups:
        """Returns the inputs, with another baseline where the baseline is the model itself.

        When nothing changed since a model was blessed, the champion is that very model. To compare it with itself says nothing;
        it is judged against what it was judged against when it was blessed, and so its evaluation is found in the cache.
        """
        model, baseline = inputs["model"][0], inputs.get("baseline_model", (None,))[0]
        if baseline is None or baseline.digest != model.digest:
            return inputs
        others = {name: group for name, group in inputs.items() if name != "baseline_model"}
        for execution in history.executions(node.id):
            judged = history.inputs_of(execution)
            if judged["model"][0].digest == model.digest:
                return {**others, **{name: group for name, group in judged.items() if name == "baseline_model"}}
        return others


class Evaluator(Component):
    """Evaluates a model with TensorFlow Model Analysis (TFMA), compares it with a baseline, and blesses it or not.

    A model is blessed if it keeps every threshold on every slice that the threshold names. Without thresholds there is no
    blessing. Without a baseline model, as in the first run, only bounds on values are judged. Not to be blessed is a result and no
    failure; the reasons are in words in `blessing.json`.

    On the local runner the rows are evaluated in this process; with `--runner` of another kind among the `beam_args` they are
    evaluated there, file by file. What TFMA can compute over columns is computed so; if a config asks for anything else (metrics
    per query, of several outputs, of your own), TFMA's own pipeline does all of it, many times slower, and the log says so.

    Inputs:
        examples: The rows, as they were before the transform.
        model: A SavedModel whose `serving_default` takes serialized examples. If it has a signature `transform_features`, a label,
            a weight or a slice may be one of its outputs; if label or weight are in both, the transform's is taken, for a slice the
            example's.
        baseline_model: The model to compare with, usually the latest blessed one; optional.
        schema: Tells the types of the features, which saves reading the others; optional.

    Outputs:
        evaluation: TFMA's result files, which `tfma.load_eval_result` reads, pictures of plots, and `summary.json`
            (`schemas/summaries/ModelEvaluation.json`) with metrics, plots and the rows to look at.
        blessing: `BLESSED` or `NOT_BLESSED`, and `blessing.json` (`schemas/summaries/ModelBlessing.json`).

    Args:
        label: Name of the label. Default: none; needed unless `eval_config` is given.
        metrics: `classification`, `regression` or `forecast` for what is usually wanted, or names such as `AUC`, `TopKAccuracy(k=3)`,
            `Recall(class_='spam')` or `MeanAbsoluteError(step=24)`, of TFMA, of Keras, or those in `docs/evaluation.md`; those of the
            thresholds are added. They are not a number where a prediction is not. Default: none but those.
        slices: Where they are computed besides on all rows: `["payment_type", ["trip_start_day", "trip_start_hour"]]`; each item, a
            feature or a crossing of features, is one slice per value; `payment_type=Cash` is one slice. Default: none.
        thresholds: What makes the model good enough. Default: none, and so no blessing.
        splits: Splits to evaluate, together. Default: `("eval",)`.
        prediction: The output of the serving signature to judge. Default: None, the only one, or the one with a usual name.
        weight: A numeric feature that holds the weight of a row. Default: None, all weigh the same.
        plots: Names of plots of TFMA, such as `CalibrationPlot`. Default: none.
        confidence_intervals: `bootstrap` or `jackknife`, with 20 samples, 95 %. Default: None, without; `bootstrap` where a threshold
            must be kept beyond chance.
        min_slice_size: Slices with fewer rows are not computed, and not judged. Default: 1.
        worst_examples: So many rows with the highest loss, and so many of the mistakes of which the model is surest, are kept in the
            summary, to be looked at: 0 to 200. Default: 20.
        key: A feature that identifies a row, to name those. Default: None, by split, file and position only.
        pictures: Whether the plots of all rows are also drawn as PNG files. Default: True.
        eval_config: A file with a TFMA `EvalConfig` as text, instead of what is said of label, prediction, weight, metrics, plots,
            slices, thresholds, confidence intervals and the size of slices. Default: None.

    Raises:
        DefinitionError: If a metric is not known, there is nothing to compute, or `eval_config` is not the only one to say it.
        DataError: If label, weight, class or a slice cannot be found, a metric is of another kind of model, a row has no label, or a split
            has no rows.

    Example:
        evaluator = Evaluator(
            examples,
            trainer.model,
            baseline_model=champion,
            label="big_tip",
            metrics=["AUC", "BinaryAccuracy"],
            slices=["trip_start_hour"],
            thresholds=[Threshold("AUC", at_least=0.8, not_worse_than_baseline_by=0.01)],
        )
    """

    driver = EvaluatorDriver
    needs = ("tensorflow_model_analysis",)
    libraries = ("tensorflow-model-analysis", "tensorflow")

    def validate(self) -> None:
        """Checks names, and that the parameters say one thing once."""
        given = self.parameters
        if not 0 <= given["worst_examples"] <= _MOST_EXAMPLES:
            received = f"Received: {given['worst_examples']}."
            raise DefinitionError(f"Node '{self.id}': worst_examples must be 0 to {_MOST_EXAMPLES}. {received}")
        if given["eval_config"] is not None:
            defaults = spec_of(type(self)).parameters
            doubled = [name for name in _REPLACED if given[name] != defaults[name].default]
            if doubled:
                raise DefinitionError(f"Node '{self.id}': eval_config says it all. Leave out: {', '.join(doubled)}.")
            return
        if not given["label"]:
            raise DefinitionError(f"Node '{self.id}' (Evaluator) needs the parameter 'label': str, or 'eval_config': str.")
        if not given["metrics"] and not given["thresholds"]:
            raise DefinitionError(f"Node '{self.id}': there is no metric to compute.", hint="For example: metrics=['AUC'].")
        for name in spread_bundles(given["metrics"]):
            parse_metric(name, METRICS)
        for name in given["plots"]:
            check_plot(name)
        normalise_slices(given["slices"], f"Node '{self.id}'")

    def execute(
        self,
        context: Context,
        examples: Input[Examples],
        model: Input[Model],
        evaluation: Output[ModelEvaluation],
        blessing: Output[ModelBlessing],
        baseline_model: Input[Model] | None,
        schema: Input[Schema] | None,
        *,
        label: str = "",
        metrics: str | tuple[str, ...] = (),
        slices: tuple[str | list[str] | tuple[str, ...], ...] = (),
        thresholds: tuple[Threshold, ...] = (),
        splits: tuple[str, ...] = ("eval",),
        prediction: str | None = None,
        weight: str | None = None,
        plots: tuple[str, ...] = (),
        confidence_intervals: Literal["bootstrap", "jackknife"] | None = None,
        min_slice_size: int = 1,
        worst_examples: int = 20,
        key: str | None = None,
        pictures: bool = True,
        eval_config: str | None = None,
    ) -> None:
        """Evaluates the model and judges it."""
        from components.evaluator import config, results, verdict, views
        from components.evaluator import evaluation as evaluations

        refuse_sequences(context.node, [examples])
        if eval_config is not None:
            add_to_path(context.folders)  # a config may name metrics in modules of the project
            written = config.read_config(context.path(eval_config))
        else:
            written = config.build_config(
                label=label,
                prediction=prediction,
                weight=weight,
                slices=normalise_slices(slices, f"Node '{context.node}'"),
                thresholds=thresholds,
                confidence_intervals=confidence_intervals or ("bootstrap" if any(one.beyond_chance for one in thresholds) else None),
                min_slice_size=min_slice_size,
            )
        grow_gpu_memory()
        context.progress("loading the models")
        candidate, features = serving_path(model.path), None if schema is None else read_schema_of(schema)
        files = [file for split in splits for file in shard_files(examples.split_path(split))]
        subject = evaluations.subject_of(written, files, candidate, features, bundle_of(metrics), context)
        if eval_config is None:
            config.add_metrics(written, metrics, plots, thresholds, subject)
        prepared = evaluations.prepare(
            written,
            files,
            candidate,
            None if baseline_model is None else serving_path(baseline_model.path),
            features,
            evaluation.path,
            subject,
            views.Viewing(worst_examples, key or "", pictures),
        )
        context.progress("evaluating")
        evaluations.run(prepared, context)
        found = results.read_results(evaluation.path)
        context.progress("judging", rows=found[0].examples if found else None)
        baseline = config.baseline_of(prepared.config)
        labels = ", ".join(sorted({spec.label_key for spec in prepared.config.model_specs}))
        summary = results.summarise(found, label=labels, splits=splits, baseline=baseline, subject=subject, folder=evaluation.path)
        evaluation.write_summary(summary)
        decided = verdict.judge(
            config.thresholds_of(prepared.config),
            found,
            baseline=baseline,
            against_baseline=prepared.rubber_stamp,
            subject=subject,
            beyond_chance=verdict.beyond_chance_of(thresholds, subject),
        )
        _write_blessing(blessing, decided.as_json(), model, baseline_model)
        context.decide("blessed" if decided.blessed else "not blessed", decided.reasons)


_MOST_EXAMPLES = 200
_REPLACED = ("label", "metrics", "slices", "thresholds", "prediction", "weight", "plots", "confidence_intervals", "min_slice_size")


def _write_blessing(blessing: ModelBlessing, verdict: Mapping[str, Any], model: Model, baseline: Model | None) -> None:
    """Writes the verdict, and the properties by which TFX's tools know it."""
    blessed = verdict["verdict"] == "blessed"
    (blessing.path / ("BLESSED" if blessed else "NOT_BLESSED")).touch()
    (blessing.path / "blessing.json").write_text(json.dumps(verdict, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    blessing.write_summary(verdict)
    blessing.properties.update({"blessed": int(blessed), "current_model": model.uri, "current_model_digest": model.digest})
    if model.id is not None:
        blessing.properties["current_model_id"] = model.id
    if baseline is not None:
        blessing.properties["baseline_model"] = baseline.uri
        if baseline.id is not None:
            blessing.properties["baseline_model_id"] = baseline.id
