"""Text messages: is it spam?"""

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
from components.trainer import Sequences
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """Returns the pipeline from the file of messages to the served model."""
    examples = CsvExampleGen(
        input="data/sms_spam/*.tsv",
        column_names=("label", "text"),
        delimiter="\t",
        quoting=False,  # a quote is a letter like any other
        splits={"train": 2, "eval": 1},
        split_by="text",  # a message that was sent to many is in one split
    )
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/spam.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        module="model",
        label="label",
        epochs=8,
        batch_size=64,
        sequences=Sequences(longest=60, buckets=(10, 20, 40)),
        learning_rate=0.002,
        early_stopping_patience=4,
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        schema=schema,
        label="label",
        key="text",
        metrics="classification",
        thresholds=[Threshold("F1Score", at_least=0.93, not_worse_than_baseline_by=0.02)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/spam")
    return Pipeline("spam", [validator, pusher])
