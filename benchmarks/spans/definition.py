"""A window of 30 spans of taxi trips as far as training: ingestion, statistics, and the full pass of the transform.

`benchmarks/run.py` makes the data and sets the input.
"""

from pathlib import Path

from components import CsvExampleGen, ImportSchema, StatisticsGen, Transform
from pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
WINDOW = 30


def create_pipeline() -> Pipeline:
    """Returns the pipeline."""
    examples = CsvExampleGen(input=str(ROOT / ".bench" / "data" / "spans" / "span-{SPAN}" / "*.csv"), window=WINDOW)
    schema = ImportSchema(schema_file=str(ROOT / "schemas" / "taxi.pbtxt"))
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn", materialize=False)
    return Pipeline("spans", [StatisticsGen(examples), transform])
