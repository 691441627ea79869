"""The verdict on a model: each threshold on each slice, in numbers and in words."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.evaluator.metric import AVERAGES, OF_CLASSES, Metric
from components.evaluator.metric_config import computed_for, slicing_spec
from components.evaluator.results import SliceResult, Value, finite, metric_name, slice_name
from components.evaluator.subject import UNKNOWN, Subject
from components.evaluator.threshold import Threshold

MAX_REASONS = 10


@dataclass(frozen=True)
class Check:
    """One bound on one slice.

    Attributes:
        metric: The metric's name.
        slice: The slice as a person reads it.
        rule: The bound in words.
        passed: Whether it is kept.
        text: What is so, in a sentence.
        value: The candidate's value; None if there is none.
        baseline: The baseline's value, for a bound against it.
        difference: By how much they differ on the same rows, for a bound that must be kept beyond chance.
    """

    metric: str
    slice: str
    rule: str
    passed: bool
    text: str
    value: Value | None = None
    baseline: Value | None = None
    difference: Value | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns the check as `blessing.json` holds it."""
        return {
            "metric": self.metric,
            "slice": self.slice,
            "rule": self.rule,
            "passed": self.passed,
            "text": self.text,
            "value": finite(self.value.value) if self.value else None,
            "lower": finite(self.value.lower) if self.value else None,
            "upper": finite(self.value.upper) if self.value else None,
            "baseline": finite(self.baseline.value) if self.baseline else None,
            "difference": {name: finite(number) for name, number in vars(self.difference).items()} if self.difference else None,
        }


@dataclass(frozen=True)
class Blessing:
    """Whether the model is good enough, and why."""

    blessed: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns `blessing.json`."""
        return {
            "verdict": "blessed" if self.blessed else "not blessed",
            "reasons": list(self.reasons),
            "checks": [check.as_json() for check in self.checks],
        }


def judge(
    thresholds: Mapping[Any, Iterable[tuple[Any, Any]]],
    results: list[SliceResult],
    *,
    baseline: str | None,
    against_baseline: bool,
    subject: Subject = UNKNOWN,
    beyond_chance: Sequence[BeyondChance] = (),
) -> Blessing:
    """Judges a model.

    Args:
        thresholds: TFMA's thresholds by metric key, each with its slices; see `config.thresholds_of`.
        results: The metrics of all slices.
        baseline: Name of the baseline model; None if there is none.
        against_baseline: Whether the author gave bounds against a baseline; without one they are not judged.
        subject: What is evaluated; it names classes and steps.
        beyond_chance: What must be kept by the whole confidence interval of the difference.
    """
    judged = [
        check
        for key, bounds in thresholds.items()
        if baseline is None or key.model_name != baseline
        for spec, bound in bounds
        for check in _checks(key, metric_name(key, subject), spec, bound, results, baseline, beyond_chance)
    ]
    failed = [check for check in judged if not check.passed]
    skipped = against_baseline and baseline is None
    first_run = ("There is no baseline model, so the bounds against it are not judged.",) if skipped else ()
    if not judged and not skipped:
        return Blessing(False, ("No thresholds are given, so there is nothing that could bless the model.",), ())
    shown = failed or judged
    reasons = tuple(check.text for check in shown[:MAX_REASONS])
    if len(shown) > MAX_REASONS:
        reasons += (f"And {len(shown) - MAX_REASONS} more {'failed' if failed else 'kept'}, see blessing.json.",)
    return Blessing(not failed, reasons + first_run, tuple(judged))


@dataclass(frozen=True)
class BeyondChance:
    """That the bounds of a metric against the baseline must be kept by the whole confidence interval of the difference.

    Attributes:
        metric: Its name, as `plain` returns it.
        average: How the classes are averaged: `macro`, `micro` or `weighted`; empty for no average.
        class_ids: The classes or steps, from 0; None for no single one.
        slice: The `SlicingSpec`.
        is_better: Whether it must be better than the baseline, and not only not worse; an `EvalConfig` says the same of both by 0.
    """

    metric: str
    average: str
    class_ids: tuple[int, ...] | None
    slice: Any
    is_better: bool

    def is_asked(self, key: Any, spec: Any) -> bool:
        """Returns whether it is asked of a metric on a slice."""
        average, name = plain(key.name)
        class_id = key.sub_key.class_id if key.sub_key is not None else None
        same = name == self.metric and average == self.average and spec == self.slice
        return same and (self.class_ids is None or class_id in self.class_ids)


def beyond_chance_of(thresholds: Iterable[Threshold], subject: Subject) -> tuple[BeyondChance, ...]:
    """Returns what thresholds ask to be kept beyond chance."""
    return tuple(
        BeyondChance(plain(one.of.name)[1], _average(one.of, subject), computed.class_ids, slicing_spec(slice_), is_better)
        for one in thresholds
        if one.beyond_chance
        for is_better in [one.better_than_baseline_by is not None]
        for computed in computed_for(one.of, subject, listed=False)
        for slice_ in one.slices
    )


def _average(metric: Metric, subject: Subject) -> str:
    """Returns how a metric is averaged: of several classes without one, by their mean."""
    of_several = metric.name in OF_CLASSES and subject.task == "classes" and metric.class_ is None
    return metric.average or ("macro" if of_several else "")


def plain(metric: str) -> tuple[str, str]:
    """Returns average and name of a metric as they are compared: TFMA writes `BinaryAccuracy` as `binary_accuracy`."""
    first, _, rest = metric.partition("_")
    average, name = (first, rest) if first in AVERAGES and rest else ("", metric)
    return average, re.sub(r"^top\d+", "topk", name.replace("_", "").lower())


def _checks(
    key: Any,
    metric: str,
    spec: Any,
    bound: Any,
    results: list[SliceResult],
    baseline: str | None,
    beyond_chance: Sequence[BeyondChance],
) -> Iterator[Check]:
    """Yields the checks of one threshold on all slices that it applies to."""
    from tensorflow_model_analysis.proto import config_pb2
    from tensorflow_model_analysis.slicer.slicer_lib import SingleSliceSpec

    changes = isinstance(bound, config_pb2.GenericChangeThreshold)
    rule = _change_rule(bound) if changes else _value_rule(bound)
    if isinstance(spec, config_pb2.CrossSlicingSpec):
        yield Check(metric, "slices against each other", rule, False, f"{metric}: bounds between slices are not supported.")
        return
    wanted = None if spec is None else SingleSliceSpec(spec=spec)
    found = [result for result in results if wanted is None or wanted.is_slice_applicable(result.key)]
    sized = [result for result in found if not result.error]
    if not sized:
        name = _spec_name(spec)
        why = f"each slice of it is too small: {found[0].error}" if found else "there are no such rows"
        yield Check(metric, name, rule, False, f"{metric} on {name} cannot be judged: {why}.")
    for result in sized:
        value = result.values.get(key._replace(is_diff=False))
        base = result.values.get(key.make_baseline_key(baseline)) if changes and baseline is not None else None
        check = _judged(metric, rule, result, value, base, bound, changes)
        asked = next((one for one in beyond_chance if one.is_asked(key, spec)), None)
        if base is not None and asked is not None:
            difference = result.values.get(key._replace(is_diff=False).make_diff_key())
            check = _beyond_chance(check, difference, bound, result.examples, is_better=asked.is_better)
        yield check


def _beyond_chance(check: Check, difference: Value | None, bound: Any, rows: int | None, *, is_better: bool) -> Check:
    """Returns the check with the bound asked of the whole interval of the difference between both models on the same rows."""
    asked = check.rule.replace("not worse than the baseline by more than 0", "better than the baseline by more than 0") if is_better else ""
    rule = f"{asked or check.rule}, beyond chance"
    if check.value is None or check.baseline is None or math.isnan(check.value.value) or math.isnan(check.baseline.value):
        return dataclasses.replace(check, rule=rule)
    name = f"{check.metric} on {check.slice}"
    known = f"{name} is {check.value.value:.5g}, the baseline's {check.baseline.value:.5g}"
    if difference is None or difference.lower is None or difference.upper is None or math.isnan(difference.lower + difference.upper):
        text = f"{known}; how sure the difference is cannot be said, since no interval could be estimated. It must be {rule}."
        return dataclasses.replace(check, rule=rule, passed=False, text=text, difference=difference)
    worst = difference.upper if _lower_is_better(bound) else difference.lower
    # A model that only equals the baseline is not better by more than nothing.
    passed = _keeps_change(check.baseline.value + worst, check.baseline.value, bound) and not (is_better and worst == 0)
    known += (
        f": {_signed(difference.value)} (95 %: {_signed(difference.lower)} to {_signed(difference.upper)}) "
        f"on the same{'' if rows is None else f' {rows:,}'} rows"
    )
    text = f"{known}{', which is' if passed else '; it must be'} {rule}."
    return dataclasses.replace(check, rule=rule, passed=passed, text=text, difference=difference)


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _judged(metric: str, rule: str, result: SliceResult, value: Value | None, base: Value | None, bound: Any, changes: bool) -> Check:
    name = f"{metric} on {result.name}"
    if value is None or (changes and base is None):
        text = f"{name} was not computed{'' if value is None else ' for the baseline'}."
        return Check(metric, result.name, rule, False, text, value, base)
    if math.isnan(value.value) or (base is not None and math.isnan(base.value)):
        whose = "the model's" if math.isnan(value.value) else "the baseline's"
        text = f"{name} cannot be judged: {whose} value is not a number. Are predictions NaN, or does the slice hold too little?"
        return Check(metric, result.name, rule, False, text, value, base)
    passed = _keeps_change(value.value, base.value, bound) if base is not None else _keeps_value(value.value, bound)
    beside = [f"95 %: {value.lower:.5g} to {value.upper:.5g}"] if value.lower is not None and value.upper is not None else []
    beside += [f"baseline: {base.value:.5g}"] if base is not None else []
    known = f"{name} is {value.value:.5g}" + (f" ({'; '.join(beside)})" if beside else "")
    return Check(metric, result.name, rule, passed, f"{known}{', which is' if passed else '; it must be'} {rule}.", value, base)


def _keeps_value(value: float, bound: Any) -> bool:
    lower = bound.lower_bound.value if bound.HasField("lower_bound") else -math.inf
    upper = bound.upper_bound.value if bound.HasField("upper_bound") else math.inf
    return bool(lower <= value <= upper)


def _keeps_change(value: float, base: float, bound: Any) -> bool:
    """Compares the difference to the baseline as TFMA does; a share of a baseline of 0 is never kept."""
    change = value - base
    sign = -1 if _lower_is_better(bound) else 1
    kept = not bound.HasField("absolute") or sign * change >= sign * bound.absolute.value
    if bound.HasField("relative"):
        kept = kept and not math.isclose(base, 0.0) and sign * change / base >= sign * bound.relative.value
    return bool(kept)


def _lower_is_better(bound: Any) -> bool:
    from tensorflow_model_analysis.proto import config_pb2

    return bool(bound.direction == config_pb2.MetricDirection.LOWER_IS_BETTER)


def _value_rule(bound: Any) -> str:
    parts = [f"at least {bound.lower_bound.value:g}"] if bound.HasField("lower_bound") else []
    parts += [f"at most {bound.upper_bound.value:g}"] if bound.HasField("upper_bound") else []
    return " and ".join(parts)


def _change_rule(bound: Any) -> str:
    sign = -1 if _lower_is_better(bound) else 1
    parts = []
    for field, unit, factor in (("absolute", "", 1.0), ("relative", " %", 100.0)):
        if bound.HasField(field):
            gain = sign * getattr(bound, field).value * factor
            more = f"better than the baseline by {gain:g}{unit}"
            parts.append(more if gain > 0 else f"not worse than the baseline by more than {abs(gain):g}{unit}")
    return " and ".join(parts)


def _spec_name(spec: Any) -> str:
    if spec is None:
        return "every slice"
    return slice_name(tuple((name, "each value") for name in spec.feature_keys) + tuple(sorted(spec.feature_values.items())))
