"""The metadata store: the only package that knows ML Metadata and its protocol buffers.

Types, contexts and events are named as TFX names them. Neither filter queries nor lineage sub-graphs of the library are used:
newer builds drop them.
"""

from pipeline.metadata.columns import FIELDS, Columns, Kind
from pipeline.metadata.connection import EMPTY, redacted, sqlite_file
from pipeline.metadata.store import MetadataStore, component_name

__all__ = ["EMPTY", "FIELDS", "Columns", "Kind", "MetadataStore", "component_name", "redacted", "sqlite_file"]
