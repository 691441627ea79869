"""ExampleGen: files of several formats become splits of `tf.train.Example`."""

from components.example_gen.csv_example_gen import CsvExampleGen
from components.example_gen.import_example_gen import ImportExampleGen
from components.example_gen.parquet_example_gen import ParquetExampleGen

__all__ = ["CsvExampleGen", "ImportExampleGen", "ParquetExampleGen"]
