from .avro_example_gen import AvroExampleGen
from .csv_example_gen import CsvExampleGen
from .folder_example_gen import AudioFolderExampleGen, ImageFolderExampleGen, TextFolderExampleGen
from .import_example_gen import ImportExampleGen
from .parquet_example_gen import ParquetExampleGen
from .time_series_example_gen import TimeSeriesExampleGen

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
