"""Artifacts: the things that nodes exchange, with the type names and the payload layout of TFX.

This module knows what an artifact is and where its parts lie. It knows neither the metadata store nor who made it.
"""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pipeline.display import facts, titled
from pipeline.errors import DataError, DefinitionError

Property = int | float | str
SUMMARY_FILE = "summary.json"


class ArtifactState(enum.Enum):
    """The states of ML Metadata that cauce uses."""

    PENDING = "PENDING"
    LIVE = "LIVE"
    DELETED = "DELETED"


class SystemType(enum.Enum):
    """ML Metadata's system artifact types; the value is the base type's number in its protocol buffer."""

    DATASET = 1
    MODEL = 2
    METRICS = 3
    STATISTICS = 4


@dataclass
class Artifact:
    """One artifact: a typed payload below `path`, and its properties.

    Subclasses set `TYPE_NAME` and declare in `PROPERTIES` those properties that have a column of their own in the store; every
    other property is stored as a custom property. An executor reads the artifacts of its inputs, and fills `path` and
    `properties` of its outputs.

    Attributes:
        path: The payload's folder or file. During execution of its producer: a staging folder, which exists already.
        properties: Integers, floats and strings by name.
        id: Number in the metadata store; None before it is published.
        name: Unique readable name, `<run>/<node>/<output>/<index>`.
        digest: SHA-256 of the content (`hashing.digest_tree`); empty before it is published.
        size: Bytes of all files.
        files: Number of files.
        state: PENDING, LIVE or DELETED.
        created: Milliseconds since 1970-01-01 UTC; 0 before it is published.
        producer: Id of the node that made it.
    """

    TYPE_NAME: ClassVar[str] = ""
    PROPERTIES: ClassVar[Mapping[str, type[Property]]] = {}
    BASE_TYPE: ClassVar[SystemType | None] = None

    path: Path
    properties: dict[str, Property] = field(default_factory=dict)
    id: int | None = None
    name: str = ""
    digest: str = ""
    size: int = 0
    files: int = 0
    state: ArtifactState = ArtifactState.PENDING
    created: int = 0
    producer: str = ""

    def __init_subclass__(cls, *, stands_in: bool = False, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "TYPE_NAME" not in cls.__dict__:
            cls.TYPE_NAME = cls.__name__
        if stands_in:
            return
        known = _REGISTRY.setdefault(cls.TYPE_NAME, cls)
        if known.PROPERTIES != cls.PROPERTIES:
            raise DefinitionError(
                f"Two artifact types have the name '{cls.TYPE_NAME}' and different properties: "
                f"{known.__module__}.{known.__qualname__} and {cls.__module__}.{cls.__qualname__}",
                hint="Give one of them another TYPE_NAME.",
            )

    @property
    def type_name(self) -> str:
        """The type's name in the metadata store."""
        return type(self).TYPE_NAME

    @property
    def uri(self) -> str:
        """The location as the metadata store holds it: a plain absolute path, as TFX writes it."""
        return str(self.path)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, in the order in which they were written; empty if the type has none."""
        return tuple(json.loads(str(self.properties.get("split_names") or "[]")))

    def set_splits(self, names: list[str] | tuple[str, ...]) -> None:
        """Records the names of the splits (property `split_names`, JSON, as in TFX)."""
        self.properties["split_names"] = json.dumps(list(names))

    def split_path(self, split: str) -> Path:
        """Returns the folder of a split, `Split-<name>`.

        Raises:
            DataError: If the artifact says which splits it has and this is not one of them.
        """
        if self.splits and split not in self.splits:
            raise DataError(f"{self.type_name} '{self.name or self.path}' has no split '{split}'. It has: {', '.join(self.splits)}.")
        return self.path / f"Split-{split}"

    @property
    def record_counts(self) -> dict[str, int]:
        """Records per split, as the producer counted them; empty if it counted none."""
        return dict(json.loads(str(self.properties.get("record_counts") or "{}")))

    def set_record_counts(self, counts: Mapping[str, int]) -> None:
        """Records the number of records per split (custom property `record_counts`, JSON)."""
        self.properties["record_counts"] = json.dumps(dict(counts))

    def summary(self) -> dict[str, Any]:
        """Returns what the producer wrote into `summary.json` beside the payload; empty if it wrote none."""
        file = self.path / SUMMARY_FILE
        if not file.is_file():
            return {}
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataError(f"{file} is damaged: {error}", hint=f"Run its node again: --rerun {self.producer}") from error

    def measures(self) -> dict[str, float]:
        """Returns the numbers by which results of this type are searched, sorted and compared, from its summary; empty for most types."""
        return {}

    def _repr_html_(self) -> str:
        known = [
            ("state", self.state.value),
            ("made by", self.producer),
            ("path", self.path),
            ("digest", self.digest),
            ("bytes", self.size),
        ]
        return titled(f"{self.type_name} {self.id or ''}".strip(), facts([*known, *self.properties.items()]))

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes `summary.json`. It must not hold times or ids: equal content must give equal digests."""
        text = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False)
        (self.path / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")


_REGISTRY: dict[str, type[Artifact]] = {}
_STAND_INS: dict[str, type[Artifact]] = {}


def artifact_type(name: str) -> type[Artifact]:
    """Returns the class of a type name; a plain one stands in for a name that only the store knows, until a class of it is imported."""
    known = _REGISTRY.get(name) or _STAND_INS.get(name)
    if known is None:
        known = _STAND_INS[name] = types.new_class(name, (Artifact,), {"stands_in": True})
    return known


def type_names() -> list[str]:
    """Returns the names of all types that are known."""
    return sorted(name for name in {*_REGISTRY, *_STAND_INS} if name)


class Examples(Artifact):
    """`Split-<name>/data_tfrecord-0000i-of-0000n.gz`: TFRecord files, GZIP, of serialized `tf.train.Example`."""

    PROPERTIES = {"span": int, "version": int, "split_names": str}
    BASE_TYPE = SystemType.DATASET


class ExampleStatistics(Artifact):
    """`Split-<name>/FeatureStats.pb`: a serialized `DatasetFeatureStatisticsList`."""

    PROPERTIES = {"span": int, "split_names": str}
    BASE_TYPE = SystemType.STATISTICS


class Schema(Artifact):
    """`schema.pbtxt`: a `tensorflow_metadata` Schema as text."""


class ExampleAnomalies(Artifact):
    """`Split-<name>/SchemaDiff.pb`: a serialized `Anomalies`."""

    PROPERTIES = {"span": int, "split_names": str}


class TransformGraph(Artifact):
    """`transform_fn/`, `transformed_metadata/`, `metadata/`: the output of `tf.Transform`."""


class TransformCache(Artifact):
    """The analyzer cache of `tf.Transform`."""


class Model(Artifact):
    """`Format-Serving/`: a SavedModel that takes serialized examples."""

    BASE_TYPE = SystemType.MODEL

    def measures(self) -> dict[str, float]:
        """Returns loss and metrics of the evaluation whose weights the model has."""
        return _numbers(self.summary().get("metrics"))


class ModelRun(Artifact):
    """TensorBoard logs and the training history."""


class ModelEvaluation(Artifact):
    """The result files of TensorFlow Model Analysis."""

    def measures(self) -> dict[str, float]:
        """Returns the metrics of the model on all rows."""
        overall: dict[str, Any] = next((part for part in self.summary().get("slices", ()) if not part.get("slice")), {})
        return _numbers({name: found.get("candidate", {}).get("value") for name, found in (overall.get("metrics") or {}).items()})


class ModelBlessing(Artifact):
    """`BLESSED` or `NOT_BLESSED`, and `blessing.json` with the reasons."""


class PushedModel(Artifact):
    """A copy of the model as it was pushed; the served location is in its properties."""

    BASE_TYPE = SystemType.MODEL


class HyperParameters(Artifact):
    """`best_hyperparameters.txt`: JSON."""


class InferenceResult(Artifact):
    """`PredictionLog` records."""


def _numbers(values: Mapping[str, Any] | None) -> dict[str, float]:
    """Returns those of some values that are numbers."""
    return {name: value for name, value in (values or {}).items() if isinstance(value, int | float) and not isinstance(value, bool)}
