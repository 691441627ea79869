"""Schemas from statistics: inferred anew, or a curated one changed as little as possible so that it accepts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.statistics.files import all_rows, feature_name

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

MAX_STRING_DOMAIN_SIZE = 100


def infer_schema(
    statistics: Sequence[statistics_pb2.DatasetFeatureStatisticsList],
    *,
    infer_feature_shape: bool = True,
    max_string_domain_size: int = MAX_STRING_DOMAIN_SIZE,
) -> schema_pb2.Schema:
    """Returns one schema for all statistics, as TFX does: inferred from the first, updated with each of the others."""
    import tensorflow_data_validation as tfdv

    schema = tfdv.infer_schema(statistics[0], infer_feature_shape, max_string_domain_size)
    for more in statistics[1:]:
        schema = tfdv.update_schema(schema, more, infer_feature_shape, max_string_domain_size)
    return schema


def propose_schema(
    schema: schema_pb2.Schema,
    statistics: Sequence[statistics_pb2.DatasetFeatureStatisticsList],
    *,
    infer_feature_shape: bool = True,
    max_string_domain_size: int = MAX_STRING_DOMAIN_SIZE,
) -> schema_pb2.Schema:
    """Returns a schema that accepts what `schema` accepts, and the statistics as well.

    TensorFlow Data Validation's `update_schema` deprecates a feature that has changed its type, and one that only some of the
    statistics lack; here the first gets the new type, and the second need not be present.
    """
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import schema_pb2

    proposed = schema_pb2.Schema()
    proposed.CopyFrom(schema)
    present = [_present(one) for one in statistics]
    for one, names in zip(statistics, present, strict=True):
        _adopt(proposed, tfdv.infer_schema(one, infer_feature_shape, max_string_domain_size), names)
        for feature in proposed.feature:
            if feature.name not in names and any(feature.name in others for others in present):
                feature.ClearField("presence")
        proposed = tfdv.update_schema(proposed, one, max_string_domain_size=max_string_domain_size)
    return proposed


def _present(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> set[str]:
    """Returns the names of the features that have a value."""
    features = [(feature, feature.WhichOneof("stats")) for feature in all_rows(statistics).features]
    return {feature_name(feature) for feature, kind in features if kind and getattr(feature, kind).common_stats.num_non_missing}


def _adopt(proposed: schema_pb2.Schema, inferred: schema_pb2.Schema, present: set[str]) -> None:
    """Gives the schema the features that it does not know, and the types that have changed."""
    known = {feature.name: feature for feature in proposed.feature}
    domains = {domain.name for domain in proposed.string_domain}
    for feature in inferred.feature:
        old = known.get(feature.name)
        if old is None:
            if feature.domain in domains:
                feature.ClearField("domain")
            proposed.feature.append(feature)
            proposed.string_domain.extend(domain for domain in inferred.string_domain if feature.domain and domain.name == feature.domain)
        elif old.type != feature.type and feature.name in present:
            old.type = feature.type
            kind = old.WhichOneof("domain_info")
            if kind is not None:
                old.ClearField(kind)
