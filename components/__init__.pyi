from .evaluator import Evaluator, Threshold
from .example_gen import (
    AudioFolderExampleGen,
    AvroExampleGen,
    CsvExampleGen,
    ImageFolderExampleGen,
    ImportExampleGen,
    ParquetExampleGen,
    TextFolderExampleGen,
    TimeSeriesExampleGen,
)
from .example_validator import ExampleValidator
from .importer import Importer
from .pusher import Pusher
from .resolver import Resolver
from .retraining import ChampionCheck, RetrainingPolicy
from .schema.component import ImportSchema, SchemaGen
from .serving_logs import LabelJoin, ServingLogExampleGen
from .statistics.component import StatisticsGen
from .trainer import Trainer
from .transform import Transform

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
