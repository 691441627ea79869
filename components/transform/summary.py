"""What a transform graph says to a reader without TensorFlow; the layout is in `schemas/summaries/TransformGraph.json`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from components.transform.tensors import feature_spec

if TYPE_CHECKING:
    from components.transform.apply import TransformGraphReader

_SHOWN_TERMS = 10
_SHOWN_NUMBERS = 64
_UNIQUE_SUFFIX = re.compile(r"_\d{3,}$")  # TensorFlow numbers tensors without a name


def summarize_transform(transform: TransformGraphReader) -> dict[str, Any]:
    """Returns the features that go in and come out, the vocabularies, and the numbers that the analyzers found."""
    return {
        "inputs": sorted(transform.spec),
        "features": _features(transform),
        "vocabularies": _vocabularies(transform),
        "values": _values(transform),
    }


def _features(transform: TransformGraphReader) -> list[dict[str, Any]]:
    domains = {feature.name: feature.int_domain for feature in transform.transformed_schema.feature if feature.HasField("int_domain")}
    described = []
    for name, spec in sorted(feature_spec(transform.transformed_schema).items()):
        domain = domains.get(name)
        described.append(
            {
                "name": name,
                "dtype": spec.dtype.name,
                "kind": type(spec).__name__,
                "shape": [int(size) for size in spec.shape] if hasattr(spec, "shape") else None,
                "domain": [domain.min, domain.max] if domain else None,
                "categorical": bool(domain and domain.is_categorical),
            }
        )
    return described


def vocabularies(transform: TransformGraphReader) -> dict[str, tuple[str, ...]]:
    """Returns the terms of each vocabulary, by the name that `preprocessing_fn` or TensorFlow Transform gave it."""
    assets = transform.path / "transformed_metadata" / "asset_map"
    names = sorted(json.loads(assets.read_text(encoding="utf-8"))) if assets.is_file() else []
    terms = {name: transform.output.vocabulary_by_name(name) for name in names}
    return {name: tuple(term.decode("utf-8", "backslashreplace") for term in found) for name, found in terms.items()}


def _vocabularies(transform: TransformGraphReader) -> list[dict[str, Any]]:
    found = vocabularies(transform)
    return [{"name": name, "size": len(terms), "first": list(terms[:_SHOWN_TERMS])} for name, terms in found.items()]


def _values(transform: TransformGraphReader) -> dict[str, Any]:
    """Returns the numbers that the graph holds as captured constants: means, variances, boundaries."""
    values = {}
    for outer, inner in transform.saved_model.transform_fn.graph.captures:
        if (outer.dtype.is_floating or outer.dtype.is_integer) and 0 < outer.shape.num_elements() <= _SHOWN_NUMBERS:
            values[_UNIQUE_SUFFIX.sub("", inner.op.name)] = outer.numpy().tolist()
    return values
