"""What a definition may say about evaluation. TensorFlow is not needed."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest

from components.evaluator import Evaluator, Threshold
from components.evaluator.component import EvaluatorDriver
from pipeline.artifacts import Examples, Model
from pipeline.component import Component, Output, spec_of
from pipeline.errors import DataError, DefinitionError
from pipeline.hashing import digest
from pipeline.usercode import package_files


class Source(Component):
    def execute(self, context: Any, examples: Output[Examples], model: Output[Model]) -> None:
        raise NotImplementedError


def evaluator(**parameters: Any) -> Evaluator:
    source = Source()
    return Evaluator(source.examples, source.model, **parameters)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "AUCC", "at_least": 0.8}, "There is no metric 'AUCC'. Did you mean 'AUC'?"),
        ({"metric": "AUC"}, "it has no bound"),
        ({"metric": "AUC", "at_least": "0.8"}, "at_least must be a number. Received: '0.8'"),
        ({"metric": "AUC", "at_least": float("nan")}, "at_least must be a number"),
        ({"metric": "AUC", "at_least": 0.9, "at_most": 0.8}, "no value is at least 0.9 and at most 0.8"),
        ({"metric": "AUC", "not_worse_than_baseline_by": -0.1}, "must be 0 or more. Received: -0.1"),
        ({"metric": "AUC", "not_worse_than_baseline_by": 0.1, "better_than_baseline_by": 0.1}, "not both"),
        ({"metric": "AUC", "at_least": 0.8, "relative": True}, "relative=True needs a bound against the baseline"),
        ({"metric": "R2Score", "not_worse_than_baseline_by": 0.1, "relative": True}, "may be negative"),
        ({"metric": "MeanLabel", "not_worse_than_baseline_by": 0.1}, "say which: higher_is_better"),
        ({"metric": "AUC", "at_least": 0.8, "slices": "hour"}, "slices must be a list"),
        ({"metric": "AUC", "at_least": 0.8, "slices": [3]}, "a slice must be a feature or a list of features. Received: 3"),
        ({"metric": "AUC", "at_least": 0.8, "slices": [["hour", "hour=3"]]}, "names a feature twice"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Threshold(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("threshold", "change"),
    [
        (Threshold("AUC", not_worse_than_baseline_by=0.01), -0.01),
        (Threshold("AUC", better_than_baseline_by=0.01), 0.01),
        (Threshold("RootMeanSquaredError", not_worse_than_baseline_by=2), 2),
        (Threshold("RootMeanSquaredError", better_than_baseline_by=2), -2),
        (Threshold("MeanLabel", not_worse_than_baseline_by=2, higher_is_better=False), 2),
        (Threshold("AUC", at_least=0.5), None),
    ],
)
def test_worse_and_better_follow_the_direction_of_the_metric(threshold: Threshold, change: float | None) -> None:
    assert threshold.change == change


def test_thresholds_that_say_the_same_have_the_same_digest() -> None:
    first = Threshold("AUC", at_least=0.8, slices=[[], ["b", "a"], "c"])
    assert first.slices == ((), ("a", "b"), ("c",))
    assert digest(first) == digest(Threshold("AUC", at_least=0.8, slices=((), ("a", "b"), ("c",))))
    assert digest(first) != digest(Threshold("AUC", at_least=0.8, slices=((), ("a", "b"))))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metrics": ["AUC"]}, "needs the parameter 'label'"),
        ({"label": "tip"}, "there is no metric to compute"),
        ({"label": "tip", "metrics": ["BinaryAcuracy"]}, "Did you mean 'BinaryAccuracy'?"),
        ({"label": "tip", "metrics": ["AUC"], "plots": ["AUC"]}, "There is no plot 'AUC'"),
        ({"label": "tip", "metrics": ["AUC"], "confidence_intervals": "guess"}, "'confidence_intervals' expects"),
        ({"label": "tip", "metrics": ["AUC"], "slices": [["hour", "hour"]]}, "names a feature twice"),
        ({"label": "tip", "eval_config": "eval.pbtxt"}, "eval_config says it all. Leave out: label"),
        ({"label": "tip", "metric": ["AUC"]}, "Did you mean 'metrics'?"),
        ({"label": "tip", "metrics": "clasification"}, "There is no metric 'clasification'. Did you mean 'classification'?"),
        ({"label": "tip", "metrics": ["classification", "Recall(clas='x')"]}, "Recall has no option 'clas'. Did you mean 'class_'?"),
        ({"label": "tip", "metrics": ["AUC"], "worst_examples": 201}, "worst_examples must be 0 to 200. Received: 201"),
    ],
)
def test_parameters_are_checked_when_the_node_is_built(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        evaluator(**parameters)
    assert message in str(caught.value)


def test_the_docstrings_examples_run() -> None:
    example = (inspect.getdoc(Evaluator) or "").partition("Example:\n")[2]
    source = Source()
    names: dict[str, Any] = {"Evaluator": Evaluator, "Threshold": Threshold, "trainer": source}
    names |= {"examples": source.examples, "champion": source.model}
    exec(textwrap.dedent(example), names)
    assert names["evaluator"].parameters["slices"] == ("trip_start_hour",)
    lines = (inspect.getdoc(Threshold) or "").partition("Example:\n")[2].partition("\n\n")[0]
    for line in textwrap.dedent(lines).strip().splitlines():
        assert isinstance(eval(line), Threshold)


def test_the_docstring_names_each_parameter() -> None:
    documented = (inspect.getdoc(Evaluator) or "").partition("Args:")[2].partition("Raises:")[0]
    assert [line.split(":")[0].strip() for line in documented.splitlines() if line.startswith("    ") and line[4] != " "] == list(
        spec_of(Evaluator).parameters
    )


def test_the_content_of_an_eval_config_is_part_of_the_cache_key(tmp_path: Path) -> None:
    node = evaluator(eval_config="eval.pbtxt")
    file = tmp_path / "eval.pbtxt"
    with pytest.raises(DataError, match="There is no EvalConfig at"):
        EvaluatorDriver().prepare(node, {}, tmp_path)
    keys = []
    for text in ("model_specs {}", "model_specs {} # changed"):
        file.write_text(text)
        keys.append(EvaluatorDriver().prepare(node, {}, tmp_path).parts)
    assert keys[0] != keys[1]
    assert EvaluatorDriver().prepare(evaluator(label="tip", metrics=["AUC"]), {}, tmp_path).parts == ()


def test_all_code_of_the_evaluator_is_part_of_the_cache_key() -> None:
    module = Path(inspect.getfile(Evaluator))
    assert set(module.parent.glob("*.py")) <= set(package_files(module, module.parents[1]))
