"""ExampleValidator: do the data keep what the schema promises, and if not, may the run go on?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from components.example_validator.baseline import PREVIOUS, BaselineDriver
from components.example_validator.comparison import DRIFT, SKEW, Baseline, compare, lost_labels, with_label_comparator
from components.example_validator.findings import DATA_MISSING, LABEL_VALUES_MISSING, Finding, Observed, Policy, as_json, find
from components.example_validator.records import RecordFinding, extremes_in, judge_records
from components.portioned import span_name
from components.record_issues import IssueKind
from components.schema.file import read_schema_of
from components.schema.inference import propose_schema
from components.schema.review import diff
from components.statistics.files import all_rows, chosen_splits, read_statistics
from pipeline.artifacts import ExampleAnomalies, ExampleStatistics, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

    Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]

ANOMALIES_FILE = "SchemaDiff.pb"


class ExampleValidator(Component):
    """Compares statistics with a schema, and with earlier or serving statistics, and stops the run where that was not agreed.

    The anomalies are those of `tfdv.validate_statistics`, and are published whether they block the run or not. By default each
    error blocks: what is in a curated schema was put there on purpose, thresholds of drift and skew too, and a harmless
    difference is accepted for good with the command that the reason names. Of a distance the reason also names the values that
    changed most, and how often chance alone makes as much with so many values (see `docs/drift.md`).

    What the ExampleGen found in single records is judged too, all of it as a warning: `BAD_RECORD`, `UNUSUAL_RECORD`, `EMPTY_CLASS`,
    `OTHER_FILE`, `DUPLICATE_RECORD`, `LEAKED_RECORD` (equal records in different splits), `DUPLICATE_TIME`, `TIME_GAP`. To stop at a
    leak: `fail_on=["ERROR", "LEAKED_RECORD"]`.

    Inputs:
        statistics: The statistics to check.
        schema: The schema: types, presence and domains; `drift_comparator` and `skew_comparator` of features; of all rows,
            `dataset_constraints`, with bounds of their number and of its change.
        baseline_statistics: Of earlier data, for features with a `drift_comparator`; optional. `baseline` finds them by itself.
        serving_statistics: Of served requests, for features with a `skew_comparator`; optional. Of both, the split of the same
            name is compared, or the only one.

    Outputs:
        anomalies: `Split-<name>/SchemaDiff.pb`, and `summary.json` (`schemas/summaries/ExampleAnomalies.json`).

    Args:
        baseline: `previous` for the last earlier span that this node has found valid (without spans: the last other data), or the
            number of a span to compare with for ever. Default: None, `baseline_statistics` or nothing.
        label: Name of the label: a change of its distribution is an anomaly also without a comparator in the schema, and that
            values which the baseline had are gone is one (`LABEL_VALUES_MISSING`). Default: None.
        max_label_drift: How far the label's distribution may be from the baseline's, where the schema does not say: L-infinity
            for texts, Jensen-Shannon for numbers. Default: 0.1.
        exclude_splits: Splits to leave out. Default: none.
        environment: The schema's environment that the data come from, such as `SERVING`, where a label may be missing. Default:
            None, one that has all features.
        fail_on: What blocks the run: `ERROR`, `WARNING` (errors too), kinds of anomaly such as `SCHEMA_MISSING_COLUMN` or
            `DATA_MISSING` (a split without rows) or `LEAKED_RECORD`; empty for nothing, as in TFX. Default: `ERROR`.
        allow: Kinds of anomaly that never block, such as `SCHEMA_NEW_COLUMN` or `COMPARATOR_L_INFTY_HIGH`. Default: none.
        min_confidence: Drift and skew block only where chance makes such a distance in at most `1 - min_confidence` of all cases,
            for example 0.99. Default: None, the threshold alone decides.

    Raises:
        DataError: If statistics or schema are damaged, or there is no such environment or split.
        ResolutionError: If the span that `baseline` names was never valid.

    Example:

        validator = ExampleValidator(statistics, schema, baseline="previous", allow=["SCHEMA_NEW_COLUMN"])
    """

    driver = BaselineDriver
    needs = ("tensorflow_data_validation",)
    libraries = ("tensorflow-data-validation",)

    def validate(self) -> None:
        """Checks the names of anomalies, and the bounds."""
        given = self.parameters
        kinds = set(given["fail_on"]) - {"ERROR", "WARNING"} | set(given["allow"])
        unknown = sorted(kinds - set(_kinds())) if kinds else []
        if unknown:
            raise DefinitionError(f"Node '{self.id}': there is no kind of anomaly '{unknown[0]}'.{did_you_mean(unknown[0], _kinds())}")
        if given["baseline"] is not None and "baseline_statistics" in self.inputs:
            raise DefinitionError(f"Node '{self.id}': give baseline or baseline_statistics, not both.")
        if given["min_confidence"] is not None and not 0 < given["min_confidence"] < 1:
            raise DefinitionError(
                f"Node '{self.id}': min_confidence expects more than 0 and less than 1. Received: {given['min_confidence']}"
            )
        if not 0 <= given["max_label_drift"] <= 1:
            raise DefinitionError(f"Node '{self.id}': max_label_drift expects 0 to 1. Received: {given['max_label_drift']}")

    def execute(
        self,
        context: Context,
        statistics: Input[ExampleStatistics],
        schema: Input[Schema],
        anomalies: Output[ExampleAnomalies],
        baseline_statistics: Input[ExampleStatistics] | None = None,
        serving_statistics: Input[ExampleStatistics] | None = None,
        *,
        baseline: Literal["previous"] | int | None = None,
        label: str | None = None,
        max_label_drift: float = 0.1,
        exclude_splits: tuple[str, ...] = (),
        environment: str | None = None,
        fail_on: tuple[str, ...] = ("ERROR",),
        allow: tuple[str, ...] = (),
        min_confidence: float | None = None,
    ) -> None:
        """Writes the anomalies of each split and decides."""
        splits = chosen_splits("statistics", statistics.splits, exclude_splits)
        expected = read_schema_of(schema)
        _check_environment(environment, expected)
        current = {split: read_statistics(statistics, split) for split in splits}
        _check_label(label, current)
        baselines = [
            Baseline(kind, {split: _counterpart(given, split, name) for split in splits}, _span(given), span_name(given))
            for kind, given, name in (
                (DRIFT, baseline_statistics, "baseline_statistics"),
                (SKEW, serving_statistics, "serving_statistics"),
            )
            if given is not None
        ]
        observed = [_observe(split, current[split], expected, baselines, environment, label, max_label_drift) for split in splits]
        policy, told = Policy(fail_on, allow, min_confidence), statistics.summary()
        findings = _findings(observed, expected, policy, extremes_in(told))
        records = judge_records(told, splits, policy.blocks)
        schema_file = str(schema.properties["schema_file"]) if "schema_file" in schema.properties else None
        _write(anomalies, observed, findings, records, baselines, schema_file, _span(statistics))
        if "span" in statistics.properties:
            anomalies.properties["span"] = statistics.properties["span"]
        first = baseline == PREVIOUS and baseline_statistics is None
        _decide(context, observed, findings, records, baselines, schema_file, first=first)


def _kinds() -> list[str]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    return [DATA_MISSING, LABEL_VALUES_MISSING, *map(str, IssueKind), *anomalies_pb2.AnomalyInfo.Type.keys()]


def _check_environment(environment: str | None, schema: schema_pb2.Schema) -> None:
    known = list(schema.default_environment)
    if environment is not None and environment not in known:
        raise DataError(f"The schema has no default_environment '{environment}'.{did_you_mean(environment, known)}")


def _check_label(label: str | None, current: Statistics) -> None:
    known = {".".join(feature.path.step) or feature.name for found in current.values() for feature in all_rows(found).features}
    if label is not None and known and label not in known:
        raise DataError(f"The statistics have no label '{label}'.{did_you_mean(label, known)}")


def _span(statistics: ExampleStatistics) -> int | None:
    """Returns the number of the span; input without spans has the number 0."""
    return int(statistics.properties.get("span", 0)) or None


def _counterpart(statistics: ExampleStatistics, split: str, name: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics that a split is compared with: those of the same name, or the only ones."""
    if split not in statistics.splits and len(statistics.splits) != 1:
        raise DataError(f"{name} has no split '{split}' to compare with. It has: {', '.join(statistics.splits)}.")
    return read_statistics(statistics, split if split in statistics.splits else statistics.splits[0])


def _observe(
    split: str,
    current: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    baselines: list[Baseline],
    environment: str | None,
    label: str | None,
    max_label_drift: float,
) -> Observed:
    import tensorflow_data_validation as tfdv

    known = {baseline.kind: baseline for baseline in baselines}
    earlier = known[DRIFT].statistics[split] if DRIFT in known else None
    anomalies = tfdv.validate_statistics(
        current,
        schema if label is None or earlier is None else with_label_comparator(schema, label, max_label_drift, current),
        environment=environment,
        previous_statistics=earlier,
        serving_statistics=known[SKEW].statistics[split] if SKEW in known else None,
    )
    return Observed(
        split,
        anomalies,
        current,
        compare(anomalies, split, current, baselines),
        None if earlier is None else int(all_rows(earlier).num_examples),
        lost_labels(label, split, current, known.get(DRIFT)) if label is not None else "",
        label or "",
    )


def _findings(observed: Sequence[Observed], schema: schema_pb2.Schema, policy: Policy, extremes: Mapping[str, str]) -> list[Finding]:
    known = [split.statistics for split in observed if all_rows(split.statistics).features]
    changes: dict[str, list[Any]] = {}
    if any(split.anomalies.anomaly_info for split in observed):
        for change in diff(propose_schema(schema, known), schema):
            changes.setdefault(change.feature, []).append(change)
    findings = [finding for split in observed for finding in find(split, schema, changes, policy)]
    return [
        dataclasses.replace(finding, facts=f"{finding.facts}; {extremes[finding.feature]}") if finding.feature in extremes else finding
        for finding in findings
    ]


def _write(
    output: ExampleAnomalies,
    observed: Sequence[Observed],
    findings: Sequence[Finding],
    records: Sequence[RecordFinding],
    baselines: Sequence[Baseline],
    schema_file: str | None,
    span: int | None,
) -> None:
    output.set_splits([split.name for split in observed])
    for split in observed:
        folder = output.split_path(split.name)
        folder.mkdir()
        (folder / ANOMALIES_FILE).write_bytes(split.anomalies.SerializeToString(deterministic=True))
    changes = dict.fromkeys(change for finding in findings for change in finding.changes)
    output.properties["anomalies"] = len(findings) + len(records)
    output.write_summary(
        {
            "blocked": any([*(finding.blocks for finding in findings), *(finding.blocks for finding in records)]),
            "schema_file": schema_file,
            "span": span,
            "baselines": [baseline.as_json() for baseline in baselines],
            "splits": {
                split.name: {
                    "rows": split.rows,
                    "anomalies": [as_json(finding) for finding in findings if finding.split == split.name],
                    "drift": [comparison.as_json() for comparison in split.comparisons],
                }
                for split in observed
            },
            "changes": [dataclasses.asdict(change) for change in changes],
            **({"records": [finding.to_json() for finding in records]} if records else {}),
        }
    )


def _decide(
    context: Context,
    observed: Sequence[Observed],
    findings: Sequence[Finding],
    records: Sequence[RecordFinding],
    baselines: Sequence[Baseline],
    schema_file: str | None,
    *,
    first: bool,
) -> None:
    """Blocks the run with a reason for each finding that blocks, or says what was looked at."""
    told = [(finding.blocks, finding.sentence(schema_file)) for finding in findings]
    told += [(finding.blocks, finding.sentence()) for finding in records]
    blocking = [sentence for blocks, sentence in told if blocks]
    if blocking:
        context.decide("blocked", blocking, blocks=True)
        return
    rows = sum(split.rows for split in observed)
    verdict = f"{len(told)} anomalies, none of which blocks" if told else "no anomalies"
    verdict = "1 anomaly, which does not block" if len(told) == 1 else verdict
    reasons = [f"{rows:,} rows in {', '.join(split.name for split in observed)}: {verdict}."]
    reasons += ["No earlier data were found valid yet, so drift is not judged."] if first else []
    reasons += [_compared(baseline, observed) for baseline in baselines]
    useless = {one.feature: one.note for split in observed for one in split.comparisons if one.note and not one.exceeds}
    reasons += [f"Feature '{feature}': {note}" for feature, note in useless.items()]
    context.decide("valid", reasons + [sentence for _, sentence in told])


def _compared(baseline: Baseline, observed: Sequence[Observed]) -> str:
    """Returns what the data were compared with, and the distance that came nearest to its threshold."""
    measured = [(split, one) for split in observed for one in split.comparisons if one.kind == baseline.kind]
    if not measured:
        return f"Compared with {baseline.name}: no feature has a {baseline.kind}_comparator with a threshold."
    split, nearest = max(measured, key=lambda item: item[1].value / max(item[1].threshold, 1e-9))
    count = len({one.feature for _, one in measured})
    return (
        f"Compared with {baseline.name}: {count} feature{'s' if count > 1 else ''}; nearest to its threshold is '{nearest.feature}' "
        f"in {split.name}, {nearest.value:.3g} of {nearest.threshold:g}."
    )
