"""CIFAR-10: which of ten things is on a small picture?"""

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
    """Returns the pipeline from the archive of pictures to the served model. The archive is not part of the project: see README.md."""
    examples = ImageFolderExampleGen(input="data/cifar10/train.tar.gz", splits={"train": 9, "eval": 1}, stratify_by="label")
    statistics = StatisticsGen(examples)
    schema = ImportSchema(schema_file="schemas/cifar10.pbtxt")
    validator = ExampleValidator(statistics, schema)
    transform = Transform(examples, schema, preprocessing_fn="features:preprocessing_fn", materialize=False)
    trainer = Trainer(
        examples,
        transform.transform_graph,
        schema,
        module="model",
        label="label",
        epochs=30,
        batch_size=128,
        learning_rate=LearningRate(0.1, schedule="cosine", warmup_steps=400),
        precision="mixed_bfloat16",
        gradient_clipping=2.0,
        custom_config={"filters": 64, "blocks": 2},
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
        thresholds=[Threshold("Accuracy", at_least=0.6, not_worse_than_baseline_by=0.01)],
    )
    pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/cifar10")
    return Pipeline("cifar10", [validator, pusher])
