"""ExampleGen: files of several formats become splits of `tf.train.Example`."""

from components.example_gen.avro_example_gen import AvroExampleGen
from components.example_gen.csv_example_gen import CsvExampleGen
from components.example_gen.folder_example_gen import AudioFolderExampleGen, ImageFolderExampleGen, TextFolderExampleGen
from components.example_gen.import_example_gen import ImportExampleGen
from components.example_gen.parquet_example_gen import ParquetExampleGen
from components.example_gen.time_series_example_gen import TimeSeriesExampleGen

__all__ = [
    "AudioFolderExampleGen",
    "AvroExampleGen",
    "CsvExampleGen",
    "ImageFolderExampleGen",
    "ImportExampleGen",
    "ParquetExampleGen",
    "TextFolderExampleGen",
    "TimeSeriesExampleGen",
]
