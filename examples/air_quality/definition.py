"""Air in Beijing: how much fine dust (PM2.5) will there be in each of the next 24 hours?"""

from components import (
    Evaluator,
    ExampleValidator,
    ImportSchema,
    Pusher,
    Resolver,
    StatisticsGen,
    TimeSeriesExampleGen,
    Trainer,
    Transform,
)
from components.evaluator import Threshold
from components.trainer import LearningRate
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the table of hours to the served model."""
    examples = TimeSeriesExampleGen(
        input="data/air_quality/*.csv",
        time=("year", "month", "day", "hour"),
        target="pm2.5",
        features=("pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"),
        history=72,
        horizon=24,
        stride=6,
        fill=6,
        borders=("2014-01-01",),
    )
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/air_quality.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        module="model",
        label="pm25",
        epochs=10,
        batch_size=64,
        learning_rate=LearningRate(0.002, schedule="cosine"),
        gradient_clipping=1.0,
        early_stopping_patience=5,
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        schema=schema,
        label="pm25",
        metrics="forecast",
        thresholds=[Threshold("RootMeanSquaredError", at_most=71.0, not_worse_than_baseline_by=0.02, relative=True)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/air_quality")
    return Pipeline("air_quality", [validator, pusher])
