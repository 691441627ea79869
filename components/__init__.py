"""The standard components: TFX's names, one declaration each. Importing this loads no heavy library."""

from components.evaluator import Evaluator, Threshold
from components.example_gen import (
    AudioFolderExampleGen,
    AvroExampleGen,
    CsvExampleGen,
    ImageFolderExampleGen,
    ImportExampleGen,
    ParquetExampleGen,
    TextFolderExampleGen,
    TimeSeriesExampleGen,
)
from components.example_validator import ExampleValidator
from components.importer import Importer
from components.pusher import Pusher
from components.resolver import Resolver
from components.retraining import ChampionCheck, RetrainingPolicy
from components.schema.component import ImportSchema, SchemaGen
from components.serving_logs import LabelJoin, ServingLogExampleGen
from components.statistics.component import StatisticsGen
from components.trainer import Trainer
from components.transform import Transform

__all__ = [
    "AudioFolderExampleGen",
    "AvroExampleGen",
    "ChampionCheck",
    "CsvExampleGen",
    "Evaluator",
    "ExampleValidator",
    "ImageFolderExampleGen",
    "ImportExampleGen",
    "ImportSchema",
    "Importer",
    "LabelJoin",
    "ParquetExampleGen",
    "Pusher",
    "Resolver",
    "RetrainingPolicy",
    "SchemaGen",
    "ServingLogExampleGen",
    "StatisticsGen",
    "TextFolderExampleGen",
    "Threshold",
    "TimeSeriesExampleGen",
    "Trainer",
    "Transform",
]
