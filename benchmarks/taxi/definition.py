"""TFX's taxi example, `taxi_pipeline_native_keras`, node for node: the same training work, metric and threshold.

`benchmarks/run.py` sets the data and the destination; by hand, after it has made the data: `cauce run benchmarks/taxi`.
"""

from pathlib import Path

from components import CsvExampleGen, Evaluator, ExampleValidator, Pusher, Resolver, SchemaGen, StatisticsGen, Trainer, Transform
from components.evaluator import Threshold
from pipeline import Pipeline

WORK = Path(__file__).resolve().parents[2] / ".bench"


def create_pipeline() -> Pipeline:
    """Returns the pipeline, from the CSV file to the served model."""
    examples = CsvExampleGen(input=str(WORK / "data" / "taxi-1" / "*.csv"), splits={"train": 2, "eval": 1})
    statistics = StatisticsGen(examples)
    schema = SchemaGen(statistics)
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        module="model",
        label="big_tip",
        train_steps=1000,
        batch_size=40,
        eval_steps=150,
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        label="big_tip",
        thresholds=[Threshold("BinaryAccuracy", at_least=0.6, not_worse_than_baseline_by=1e-10)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination=str(WORK / "serving"))
    return Pipeline("taxi", [validator, pusher])
