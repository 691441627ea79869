"""Spoken digits: which digit does a recording say?"""

from components import (
    AudioFolderExampleGen,
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
    """Returns the pipeline from the archive of recordings to the served model."""
    examples = AudioFolderExampleGen(
        input="data/spoken_digits/recordings.tar.gz",
        names="{label}_{speaker}_{take:int}.wav",
        splits={"train": 4, "eval": 1},
        require={"audio/sample_rate": 8000, "audio/channels": 1},
    )
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/spoken_digits.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn")
    trainer = Trainer(
        transform.transformed_examples,
        transform.transform_graph,
        schema,
        module="model",
        label="label",
        epochs=40,
        batch_size=32,
        learning_rate=LearningRate(0.004, schedule="cosine", warmup_steps=40),
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        schema=schema,
        label="label",
        key="audio/filename",
        metrics="classification",
        slices=["speaker"],
        thresholds=[Threshold("Accuracy", at_least=0.8, not_worse_than_baseline_by=0.02)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/spoken_digits")
    return Pipeline("spoken_digits", [validator, pusher])
