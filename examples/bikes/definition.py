"""Bike sharing: how many rides in an hour?"""

from components import (
    CsvExampleGen,
    Evaluator,
    ExampleValidator,
    ImportSchema,
    Pusher,
    Resolver,
    StatisticsGen,
    Trainer,
    Transform,
)
from components.evaluator import Threshold
from components.trainer import LearningRate
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the CSV files to the served model."""
    examples = CsvExampleGen(input="data/bikes/*.csv", splits={"train": 4, "eval": 1})
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/bikes.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        module="model",
        label="cnt",
        epochs=30,
        batch_size=128,
        learning_rate=LearningRate(schedule="cosine"),
        early_stopping_patience=10,
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        label="cnt",
        metrics=["RootMeanSquaredError", "MeanAbsoluteError", "R2Score"],
        slices=["hr", "workingday", "weathersit"],
        thresholds=[
            Threshold("RootMeanSquaredError", at_most=70, not_worse_than_baseline_by=0.05, relative=True),
            Threshold("R2Score", at_least=0.85),
        ],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/bikes")
    return Pipeline("bikes", [validator, pusher])
