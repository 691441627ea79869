"""Chicago taxi: will the rider tip more than 20 % of the fare?"""

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
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the CSV files to the served model."""
    examples = CsvExampleGen(input="data/taxi/span-{SPAN}/*.csv", splits={"train": 2, "eval": 1})
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/taxi.pbtxt")
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
        metrics=["BinaryAccuracy", "AUC"],
        slices=["trip_start_hour"],
        thresholds=[Threshold("AUC", at_least=0.8, not_worse_than_baseline_by=0.01)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/taxi")
    return Pipeline("taxi", [validator, pusher])
