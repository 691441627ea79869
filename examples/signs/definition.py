"""Sign-language digits: which digit does a hand show on a photograph?"""

from components import (
    Evaluator,
    ExampleValidator,
    ImageFolderExampleGen,
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
    """Returns the pipeline from the archive of photographs to the served model."""
    examples = ImageFolderExampleGen(input="data/signs/signs.tar.gz", splits={"train": 4, "eval": 1}, stratify_by="label")
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/signs.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn", materialize=False)
    trainer = Trainer(
        examples,
        transform.transform_graph,
        schema,
        module="model",
        label="label",
        epochs=60,
        batch_size=32,
        learning_rate=LearningRate(0.003, schedule="cosine", warmup_steps=30),
    )
    champion = Resolver("latest_blessed_model")
    evaluator = Evaluator(
        examples,
        trainer.model,
        baseline_model=champion.model,
        schema=schema,
        label="label",
        key="image/filename",
        metrics="classification",
        thresholds=[Threshold("Accuracy", at_least=0.8, not_worse_than_baseline_by=0.02)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/signs")
    return Pipeline("signs", [validator, pusher])
