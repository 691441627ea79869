"""Palmer penguins: which of three species is it?"""

from components import (
    CsvExampleGen,
    Evaluator,
    ExampleValidator,
    Pusher,
    Resolver,
    SchemaGen,
    StatisticsGen,
    Trainer,
    Transform,
)
from components.evaluator import Threshold
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the CSV file to the served model."""
    examples = CsvExampleGen(input="data/*.csv", splits={"train": 2, "eval": 1}, stratify_by="species")
    statistics = StatisticsGen(examples)
    schema = SchemaGen(statistics)
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples, transform.transform_graph, schema, module="model", label="species", epochs=20, batch_size=32
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        label="species",
        metrics=["SparseCategoricalAccuracy"],
        slices=["island"],
        thresholds=[Threshold("SparseCategoricalAccuracy", at_least=0.9, not_worse_than_baseline_by=0.05)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/penguins")
    return Pipeline("penguins", [validator, pusher])
