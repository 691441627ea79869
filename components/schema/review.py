"""Review of a curated schema: what data ask for that it does not allow, and how a person accepts that.

Pure functions behind `cauce schema diff` and `cauce schema accept`; they need only the protocol buffers of `tensorflow_metadata`.
A curated schema may say more than can be inferred (ranges, environments, thresholds) and may allow more; neither is a difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.schema.file import read_schema, schema_text, string_domain
from pipeline.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_RANGES = ("int_domain", "float_domain")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "missing feature": ("lifecycle_stage",),
    "type": ("type", "domain", "string_domain", "bool_domain", *_RANGES),
    "presence": ("presence",),
    "shape": ("shape", "value_count", "value_counts"),
    "range": _RANGES,
}
"""The fields of a feature that a kind of change replaces. `new feature` adds a whole one, `values` adds values to a domain."""

_TOKEN = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[{}<>]")


@dataclass(frozen=True)
class SchemaChange:
    """One thing that data ask for and the curated schema does not allow.

    Attributes:
        feature: Name of the feature.
        what: `new feature`, `missing feature`, `type`, `presence`, `shape`, `range` or `values`.
        before: What the curated schema says, as text of a Schema; empty where something is added to it: a feature, values.
        after: What would accept the data, as text of a Schema that holds only what changes.
        text: The change in a sentence.
    """

    feature: str
    what: str
    before: str
    after: str
    text: str

    @property
    def snippet(self) -> str:
        """What would accept the data, on one line."""
        removes = len(self.after.splitlines()) == len(("feature {", "name", "}"))
        return " ".join(self.after.split()) + (f" without {self.what}" if removes else "")


def changes_of(summary: Mapping[str, Any]) -> list[SchemaChange]:
    """Returns the changes that the `summary.json` of a Schema or of ExampleAnomalies proposes."""
    return [SchemaChange(**change) for change in summary.get("changes", ())]


def diff(inferred: schema_pb2.Schema, curated: schema_pb2.Schema) -> list[SchemaChange]:
    """Returns what `inferred` asks for and `curated` does not allow, in the order of the features."""
    known = {feature.name for feature in curated.feature}
    found = {feature.name: feature for feature in inferred.feature if not _is_retired(feature)}
    changes: list[SchemaChange] = []
    for feature in curated.feature:
        other = found.get(feature.name)
        if _is_retired(feature):
            continue
        if other is None:
            changes += _missing(feature)
        elif other.type != feature.type:
            changes.append(_change("type", feature, other))
        else:
            fits = {"presence": _fits_presence(feature, other), "shape": _fits_shape(feature, other), "range": _fits_range(feature, other)}
            changes += [_change(what, feature, other) for what, holds in fits.items() if not holds]
            changes += _more_values(feature, curated, string_domain(other, inferred))
    return changes + [_new(feature, inferred) for name, feature in found.items() if name not in known]


def accept(path: Path, changes: Iterable[SchemaChange]) -> str:
    """Rewrites a curated schema file so that it allows the changes, and returns its new text.

    Only the features and domains that change are written anew, the comments inside one then stand in front of it; all other text,
    comments included, stays as it is. A file that uses unusual syntax (lists of messages in brackets) is written as a whole, and
    loses its comments.

    Raises:
        DataError: If the file is missing or damaged, or a change does not fit it.
    """
    schema = read_schema(path)
    for change in changes:
        _apply(change, schema, path)
    text = _rewrite(path.read_text(encoding="utf-8"), schema)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.chmod(path.stat().st_mode)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return text


def _is_retired(feature: schema_pb2.Feature) -> bool:
    from tensorflow_metadata.proto.v0 import schema_pb2

    return feature.lifecycle_stage in (schema_pb2.DEPRECATED, schema_pb2.DISABLED)


def _missing(feature: schema_pb2.Feature) -> list[SchemaChange]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    if not (feature.presence.min_fraction or feature.presence.min_count):
        return []
    return [_change("missing feature", feature, schema_pb2.Feature(name=feature.name, lifecycle_stage=schema_pb2.DEPRECATED))]


def _new(feature: schema_pb2.Feature, inferred: schema_pb2.Schema) -> SchemaChange:
    from tensorflow_metadata.proto.v0 import schema_pb2

    domains = [domain for domain in inferred.string_domain if feature.HasField("domain") and domain.name == feature.domain]
    after = schema_text(schema_pb2.Schema(feature=[feature], string_domain=domains))
    return SchemaChange(feature.name, "new feature", "", after, f"'{feature.name}' ({_words('type', feature)}) is not in the schema.")


def _more_values(feature: schema_pb2.Feature, curated: schema_pb2.Schema, seen: schema_pb2.StringDomain | None) -> Iterator[SchemaChange]:
    """Yields the values that the feature's domain does not list."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    allowed = string_domain(feature, curated)
    if allowed is None or seen is None:
        return

    added = [value for value in seen.value if value not in set(allowed.value)]
    if added:
        domain = schema_pb2.StringDomain(name=allowed.name, value=added)
        fragment = schema_pb2.Schema(string_domain=[domain])
        if not feature.HasField("domain"):
            fragment = schema_pb2.Schema(feature=[schema_pb2.Feature(name=feature.name, string_domain=domain)])
        words = f"'{feature.name}' has values that the schema does not list: {', '.join(map(repr, added))}."
        yield SchemaChange(feature.name, "values", "", schema_text(fragment), words)


def _change(what: str, feature: schema_pb2.Feature, other: schema_pb2.Feature) -> SchemaChange:
    text = f"'{feature.name}': the data have {_words(what, other)}, the schema says {_words(what, feature)}."
    return SchemaChange(feature.name, what, _part(feature, what), _part(other, what), text)


def _part(feature: schema_pb2.Feature, what: str) -> str:
    """Returns, as text, a schema with only those fields of the feature that a kind of change is about."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    part = schema_pb2.Feature()
    part.CopyFrom(feature)
    for field, _ in feature.ListFields():
        # A reference to a domain is left out: the domain itself is not part of the text.
        if field.name != "name" and (field.name not in _FIELDS[what] or field.name == "domain"):
            part.ClearField(field.name)
    return schema_text(schema_pb2.Schema(feature=[part]))


def _fits_presence(feature: schema_pb2.Feature, other: schema_pb2.Feature) -> bool:
    demanded, given = feature.presence, other.presence
    # A schema that is inferred says no fraction where some rows lack the feature, so that it contradicts only "in each row".
    is_rarer = given.min_fraction < demanded.min_fraction if given.HasField("min_fraction") else demanded.min_fraction == 1
    return not is_rarer and given.min_count >= demanded.min_count


def _fits_shape(feature: schema_pb2.Feature, other: schema_pb2.Feature) -> bool:
    wanted, given = feature.WhichOneof("shape_type"), other.WhichOneof("shape_type")
    if wanted is None:
        return True
    if wanted != "value_count" or given not in ("value_count", "shape"):
        return bool(given == wanted and getattr(feature, wanted) == getattr(other, wanted))
    size = 1
    for dim in other.shape.dim:
        size *= dim.size
    low, high = (other.value_count.min, other.value_count.max) if given == "value_count" else (size, size)
    bounds = feature.value_count
    return low >= bounds.min and (not bounds.max or 0 < high <= bounds.max)


def _fits_range(feature: schema_pb2.Feature, other: schema_pb2.Feature) -> bool:
    name = next((name for name in _RANGES if feature.HasField(name) and other.HasField(name)), None)
    if name is None:
        return True
    allowed, seen = getattr(feature, name), getattr(other, name)
    low = not allowed.HasField("min") or (seen.HasField("min") and seen.min >= allowed.min)
    high = not allowed.HasField("max") or (seen.HasField("max") and seen.max <= allowed.max)
    return low and high and all(getattr(seen, flag, 0) >= getattr(allowed, flag, 0) for flag in ("disallow_nan", "disallow_inf"))


def _words(what: str, feature: schema_pb2.Feature) -> str:
    """Returns what a feature says about a kind of change, for a person."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    presence = feature.presence
    match what:
        case "type":
            return schema_pb2.FeatureType.Name(feature.type)  # type: ignore[no-any-return]
        case "missing feature":
            return "no value" if _is_retired(feature) else "that there is one"
        case "presence":
            return f"it in {presence.min_fraction:.2%} of the rows" if presence.min_fraction else f"it in {presence.min_count} rows or more"
        case "shape" if feature.HasField("shape"):
            return f"the shape {[dim.size for dim in feature.shape.dim]} in each row"
        case "shape" if feature.HasField("value_count"):
            return f"{feature.value_count.min} to {feature.value_count.max or 'any number of'} values in a row that has it"
        case "shape":
            return "nested lists" if feature.HasField("value_counts") else "no fixed shape"
    domain = next(getattr(feature, name) for name in _RANGES if feature.HasField(name))
    low, high = (_number(getattr(domain, name)) if domain.HasField(name) else "any" for name in ("min", "max"))
    return f"{low} to {high}"


def _number(value: float) -> str:
    """Returns an integer in full, and a number of single precision without the digits that it does not have."""
    return str(value) if isinstance(value, int) else f"{value:.7g}"


def _apply(change: SchemaChange, schema: schema_pb2.Schema, path: Path) -> None:
    """Applies one change to the schema."""
    fragment = _parsed(change.after)
    if not fragment.ListFields():
        raise DataError(f"The change of '{change.feature}' ({change.what}) cannot be read: {change.after!r}")
    features = {feature.name: feature for feature in schema.feature}
    if change.what == "new feature":
        domains = {domain.name for domain in schema.string_domain}
        schema.feature.extend(feature for feature in fragment.feature if feature.name not in features)
        schema.string_domain.extend(domain for domain in fragment.string_domain if domain.name not in domains)
        return
    feature = features.get(change.feature)
    if feature is None:
        raise DataError(f"{path} has no feature '{change.feature}'.{did_you_mean(change.feature, features)}")
    if change.what == "values":
        domain = string_domain(feature, schema)
        if domain is None:
            raise DataError(f"{path}: feature '{change.feature}' has no list of values to add to.")
        added = fragment.string_domain[0] if fragment.string_domain else fragment.feature[0].string_domain
        domain.value.extend(value for value in added.value if value not in set(domain.value))
        return
    for field in _FIELDS[change.what]:
        feature.ClearField(field)
    feature.MergeFrom(fragment.feature[0])


def _rewrite(text: str, schema: schema_pb2.Schema) -> str:
    """Returns `text` with those blocks replaced, and those added, that make it say what `schema` says."""
    wanted = _by_name(schema)
    pieces: list[str] = []
    end = 0
    for start, stop in _blocks(text):
        for key, old in _by_name(_parsed(text[start:stop])).items():
            new = wanted.pop(key, old)
            if new != old:
                comments = [token.group() + "\n" for token in _TOKEN.finditer(text, start, stop) if token.group().startswith("#")]
                pieces += [text[end:start], *comments, new]
                end = stop
    result = "".join([*pieces, text[end:]]).rstrip("\n") + "\n" + "".join(f"{block}\n" for block in wanted.values())
    return result if _parsed(result) == schema else schema_text(schema)


def _by_name(schema: schema_pb2.Schema) -> dict[tuple[str, str], str]:
    """Returns the text of each feature and each domain."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    features = {("feature", feature.name): schema_pb2.Schema(feature=[feature]) for feature in schema.feature}
    domains = {("string_domain", domain.name): schema_pb2.Schema(string_domain=[domain]) for domain in schema.string_domain}
    return {key: schema_text(one).rstrip("\n") for key, one in (features | domains).items()}


def _parsed(text: str) -> schema_pb2.Schema:
    """Parses a part of a schema, unchecked; gives an empty one for what is no schema by itself."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError:
        return schema_pb2.Schema()


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yields where each top-level message begins, with its field's name, and ends."""
    depth = start = 0
    for token in _TOKEN.finditer(text):
        match token.group():
            case "{" | "<":
                if depth == 0:
                    name = re.search(r"\w+\s*:?\s*$", text[: token.start()])
                    start = name.start() if name else token.start()
                depth += 1
            case "}" | ">":
                depth -= 1
                if depth == 0:
                    yield start, token.end()
