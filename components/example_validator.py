"""ExampleValidator: do the data keep what the schema promises, and if not, may the run go on?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.anomaly_report import DATA_MISSING, Finding, Policy, drift_measurements, find
from components.feature_statistics import all_rows, chosen_splits, read_statistics
from components.schema_file import read_schema_of
from components.schema_inference import propose_schema
from components.schema_review import diff
from pipeline.artifacts import ExampleAnomalies, ExampleStatistics, Schema
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.errors import DataError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

    Anomalies = Mapping[str, anomalies_pb2.Anomalies]
    Statistics = Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]

ANOMALIES_FILE = "SchemaDiff.pb"


class ExampleValidator(Component):
    """Compares statistics with a schema, and with earlier or serving statistics, and stops the run where that was not agreed.

    The anomalies are those of `tfdv.validate_statistics`, and are published whether they block the run or not. By default each
    error blocks: what is in a curated schema was put there on purpose, thresholds of drift and skew too, and a harmless
    difference is accepted for good with the command that the reason names.

    Inputs:
        statistics: The statistics to check.
        schema: The schema.
        baseline_statistics: Of earlier data, for features with a `drift_comparator`; optional.
        serving_statistics: Of served requests, for features with a `skew_comparator`; optional. Of both, the split of the same
            name is compared, or the only one.

    Outputs:
        anomalies: `Split-<name>/SchemaDiff.pb`, and `summary.json` (`schemas/summaries/ExampleAnomalies.json`).

    Args:
        exclude_splits: Splits to leave out. Default: none.
        environment: The schema's environment that the data come from, such as `SERVING`, where a label may be missing. Default:
            None, one that has all features.
        fail_on: What blocks the run: `ERROR`, `WARNING` (errors too), kinds of anomaly such as `SCHEMA_MISSING_COLUMN` or
            `DATA_MISSING` (a split without rows); empty for nothing, as in TFX. Default: `ERROR`.
        allow: Kinds of anomaly that never block, such as `SCHEMA_NEW_COLUMN`. Default: none.

    Raises:
        DataError: If statistics or schema are damaged, or there is no such environment or split.

    Example:

        validator = ExampleValidator(statistics, schema, allow=["SCHEMA_NEW_COLUMN"])
    """

    needs = ("tensorflow_data_validation",)
    libraries = ("tensorflow-data-validation",)

    def validate(self) -> None:
        """Checks the names of anomalies."""
        kinds = set(self.parameters["fail_on"]) - {"ERROR", "WARNING"} | set(self.parameters["allow"])
        unknown = sorted(kinds - set(_kinds())) if kinds else []
        if unknown:
            raise DefinitionError(f"Node '{self.id}': there is no kind of anomaly '{unknown[0]}'.{did_you_mean(unknown[0], _kinds())}")

    def execute(
        self,
        context: Context,
        statistics: Input[ExampleStatistics],
        schema: Input[Schema],
        anomalies: Output[ExampleAnomalies],
        baseline_statistics: Input[ExampleStatistics] | None = None,
        serving_statistics: Input[ExampleStatistics] | None = None,
        *,
        exclude_splits: tuple[str, ...] = (),
        environment: str | None = None,
        fail_on: tuple[str, ...] = ("ERROR",),
        allow: tuple[str, ...] = (),
    ) -> None:
        """Writes the anomalies of each split and decides."""
        import tensorflow_data_validation as tfdv

        splits = chosen_splits("statistics", statistics.splits, exclude_splits)
        expected = read_schema_of(schema)
        _check_environment(environment, expected)
        current = {split: read_statistics(statistics, split) for split in splits}
        found = {
            split: tfdv.validate_statistics(
                current[split],
                expected,
                environment=environment,
                previous_statistics=_counterpart(baseline_statistics, split, "baseline_statistics"),
                serving_statistics=_counterpart(serving_statistics, split, "serving_statistics"),
            )
            for split in splits
        }
        findings = _findings(found, current, expected, Policy(fail_on, allow))
        schema_file = str(schema.properties["schema_file"]) if "schema_file" in schema.properties else None
        _write(anomalies, found, current, findings, schema_file)
        if "span" in statistics.properties:
            anomalies.properties["span"] = statistics.properties["span"]
        _decide(context, current, findings, schema_file)


def _kinds() -> list[str]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    return [DATA_MISSING, *anomalies_pb2.AnomalyInfo.Type.keys()]


def _check_environment(environment: str | None, schema: schema_pb2.Schema) -> None:
    known = list(schema.default_environment)
    if environment is not None and environment not in known:
        raise DataError(f"The schema has no default_environment '{environment}'.{did_you_mean(environment, known)}")


def _counterpart(statistics: ExampleStatistics | None, split: str, name: str) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    """Returns the statistics that a split is compared with: those of the same name, or the only ones."""
    if statistics is None:
        return None
    if split not in statistics.splits and len(statistics.splits) != 1:
        raise DataError(f"{name} has no split '{split}' to compare with. It has: {', '.join(statistics.splits)}.")
    return read_statistics(statistics, split if split in statistics.splits else statistics.splits[0])


def _findings(found: Anomalies, current: Statistics, schema: schema_pb2.Schema, policy: Policy) -> list[Finding]:
    known = [statistics for statistics in current.values() if all_rows(statistics).features]
    changes: dict[str, list[Any]] = {}
    if any(anomalies.anomaly_info for anomalies in found.values()):
        for change in diff(propose_schema(schema, known), schema):
            changes.setdefault(change.feature, []).append(change)
    return [finding for split in found for finding in find(split, found[split], current[split], schema, changes, policy)]


def _write(output: ExampleAnomalies, found: Anomalies, current: Statistics, findings: Sequence[Finding], schema_file: str | None) -> None:
    output.set_splits(list(found))
    summary: dict[str, Any] = {"blocked": any(finding.blocks for finding in findings), "schema_file": schema_file, "splits": {}}
    for split, anomalies in found.items():
        folder = output.split_path(split)
        folder.mkdir()
        (folder / ANOMALIES_FILE).write_bytes(anomalies.SerializeToString(deterministic=True))
        summary["splits"][split] = {
            "rows": int(all_rows(current[split]).num_examples),
            "anomalies": [dataclasses.asdict(finding) for finding in findings if finding.split == split],
            "drift": drift_measurements(anomalies),
        }
    changes = dict.fromkeys(change for finding in findings for change in finding.changes)
    summary["changes"] = [dataclasses.asdict(change) for change in changes]
    output.properties["anomalies"] = len(findings)
    output.write_summary(summary)


def _decide(context: Context, current: Statistics, findings: Sequence[Finding], schema_file: str | None) -> None:
    """Blocks the run with a reason for each finding that blocks, or says what was looked at."""
    blocking = [finding.sentence(schema_file) for finding in findings if finding.blocks]
    if blocking:
        context.decide("blocked", blocking, blocks=True)
        return
    rows = sum(int(all_rows(statistics).num_examples) for statistics in current.values())
    verdict = f"{len(findings)} anomalies, none of which blocks" if findings else "no anomalies"
    reasons = [f"{rows:,} rows in {', '.join(current)}: {verdict}."]
    context.decide("valid", reasons + [finding.sentence(schema_file) for finding in findings])
