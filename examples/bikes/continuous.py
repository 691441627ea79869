"""Bike sharing month by month: is a new model worth its training, and is it better? `play.py` lets the months come."""

from components import (
    ChampionCheck,
    CsvExampleGen,
    Evaluator,
    ExampleValidator,
    ImportSchema,
    Pusher,
    Resolver,
    RetrainingPolicy,
    StatisticsGen,
    Trainer,
    Transform,
)
from components.evaluator import Threshold
from components.retraining import ChampionWorse, DriftAbove, NewData
from components.trainer import LearningRate
from pipeline import Pipeline

SPANS = "spans/bikes/{YYYY}-{MM}/v{VERSION}/*.csv"
"""A folder for each month, and in it one for each version: a correction lies beside what it corrects."""


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the last six months to the served model."""
    examples = CsvExampleGen(input=SPANS, window=6, ready="_SUCCESS", splits={"train": 2, "eval": 1})
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/bikes.pbtxt")
    validator = ExampleValidator(
        statistics.span_statistics.newest(),
        schema,
        baseline="previous",
        label="cnt",
        allow=["COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"],  # that the weather turns is no damage; the policy answers it
    )
    champion = Resolver("latest_blessed_model")
    check = ChampionCheck(examples.newest(), champion.model, label="cnt", metrics=["RootMeanSquaredError"])
    policy = RetrainingPolicy(
        examples,
        validator.anomalies,
        champion.model,
        check.evaluation,
        retrain_if=NewData() & (DriftAbove() | ChampionWorse("RootMeanSquaredError", by=10)),
    )
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn_of_months", when=policy.passed)
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        champion.model,
        module="model",
        label="cnt",
        epochs=20,
        batch_size=64,
        learning_rate=LearningRate(schedule="cosine"),
        early_stopping_patience=5,
    )
    evaluator = Evaluator(
        examples.newest(),
        trainer.model,
        baseline_model=champion.model,
        label="cnt",
        metrics=["RootMeanSquaredError", "MeanAbsoluteError", "R2Score"],
        slices=["workingday", "weathersit"],
        thresholds=[
            Threshold("R2Score", at_least=0.5),
            Threshold("RootMeanSquaredError", better_than_baseline_by=0, beyond_chance=True),
        ],
    )
    return Pipeline("bikes_monthly", [Pusher(trainer.model, evaluator.blessing, destination="serving/bikes_monthly")])
