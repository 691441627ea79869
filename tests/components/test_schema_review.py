"""The review of curated schemas: what is a change, and what accepting it does to the file. No TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema.file import parse_schema, read_schema
from components.schema.review import SchemaChange, accept, changes_of, diff
from pipeline.errors import DataError

CURATED = """\
# The trips of a company.
default_environment: "TRAINING"
default_environment: "SERVING"

feature {
  name: "fare"  # in dollars, # and not in cents
  type: FLOAT
  presence { min_fraction: 1.0 min_count: 1 }
  shape { dim { size: 1 } }
  float_domain { min: 0.0 max: 100.0 }
}
# Paid how?
feature: < name: "payment" type: BYTES domain: "payments" presence { min_fraction: 0.5 } value_count { min: 1 max: 2 } >
feature { name: "tips" type: INT presence { min_count: 1 } int_domain { min: 0 max: 9 } not_in_environment: "SERVING" }
string_domain {
  name: "payments"
  value: "Cash {and} \\"carry\\" # not a comment"  # is one
  value: "Card"
}
# The end.
"""


def curated(text: str = CURATED) -> schema_pb2.Schema:
    return parse_schema(text)


def changed(**features: str) -> schema_pb2.Schema:
    """The curated schema, with fields of some features replaced."""
    schema = curated()
    for feature in schema.feature:
        if feature.name in features:
            part = parse_schema(f'feature {{ name: "{feature.name}" {features[feature.name]} }}').feature[0]
            for field, _ in part.ListFields():
                feature.ClearField(field.name)
            feature.MergeFrom(part)
    return schema


def whats(inferred: schema_pb2.Schema, schema: schema_pb2.Schema | None = None) -> list[tuple[str, str]]:
    return [(change.feature, change.what) for change in diff(inferred, schema or curated())]


@pytest.mark.parametrize(
    ("inferred", "expected"),
    [
        (changed(), []),
        (changed(fare="float_domain { min: 0.0 max: 100.5 }"), [("fare", "range")]),
        (changed(fare="float_domain { min: -1.0 max: 1.0 }"), [("fare", "range")]),
        (changed(fare="float_domain { min: 0.0 }"), [("fare", "range")]),
        (changed(fare="float_domain { min: 1.0 max: 2.0 }"), []),
        (changed(fare="presence { min_fraction: 0.9 min_count: 1 }"), [("fare", "presence")]),
        (changed(fare="presence { min_count: 1 }"), [("fare", "presence")]),
        (changed(payment="presence { min_count: 1 }"), []),
        (changed(payment="presence { min_fraction: 0.4 min_count: 1 }"), [("payment", "presence")]),
        (changed(fare="value_count { min: 1 max: 1 }"), [("fare", "shape")]),
        (changed(fare="shape { dim { size: 2 } }"), [("fare", "shape")]),
        (changed(payment="shape { dim { size: 2 } }"), []),
        (changed(payment="shape { dim { size: 3 } }"), [("payment", "shape")]),
        (changed(payment="value_count { min: 0 max: 2 }"), [("payment", "shape")]),
        (changed(payment="value_count { min: 1 }"), [("payment", "shape")]),
        (changed(tips="type: FLOAT"), [("tips", "type")]),
        (changed(tips="lifecycle_stage: DEPRECATED"), [("tips", "missing feature")]),
    ],
)
def test_only_what_the_curated_schema_does_not_allow_is_a_change(inferred: schema_pb2.Schema, expected: list[tuple[str, str]]) -> None:
    assert whats(inferred) == expected


def test_new_and_missing_features_are_changes_and_optional_or_retired_ones_are_not() -> None:
    one, other = (parse_schema(f'feature {{ name: "{name}" type: INT {{}} }}'.replace("{}", "presence { min_count: 1 }")) for name in "ab")
    assert whats(other, one) == [("a", "missing feature"), ("b", "new feature")]
    one.feature[0].ClearField("presence")
    assert whats(other, one) == [("b", "new feature")]
    one.feature[0].presence.min_count = 1
    one.feature[0].lifecycle_stage = schema_pb2.DEPRECATED
    assert whats(schema_pb2.Schema(), one) == []


def test_new_values_are_listed_and_unused_ones_are_kept() -> None:
    inferred = curated()
    inferred.string_domain[0].value[:] = ["Mobile", "Card"]
    (change,) = diff(inferred, curated())
    assert change.text == "'payment' has values that the schema does not list: 'Mobile'."
    assert change.snippet == 'string_domain { name: "payments" value: "Mobile" }'
    assert change.before == ""  # nothing is taken away


def test_a_feature_without_a_list_of_values_takes_any() -> None:
    inferred = curated()
    schema = curated()
    schema.feature[1].ClearField("domain")
    assert diff(inferred, schema) == []


def test_sentences_say_what_the_data_have_and_what_the_schema_says() -> None:
    inferred = changed(
        fare="float_domain { min: 0.0 max: 100.1 } presence { min_fraction: 0.95 min_count: 1 } value_count { min: 1 max: 1 }",
        tips="type: FLOAT",
    )
    assert [change.text for change in diff(inferred, curated())] == [
        "'fare': the data have it in 95.00% of the rows, the schema says it in 100.00% of the rows.",
        "'fare': the data have 1 to 1 values in a row that has it, the schema says the shape [1] in each row.",
        "'fare': the data have 0 to 100.1, the schema says 0 to 100.",
        "'tips': the data have FLOAT, the schema says INT.",
    ]


def test_accepting_all_changes_leaves_none(tmp_path: Path) -> None:
    inferred = changed(
        fare="float_domain { min: -2.5 max: 1000.25 } presence { min_fraction: 0.25 min_count: 1 } value_count { min: 1 max: 1 }",
        tips="type: FLOAT",
        payment="lifecycle_stage: DEPRECATED",
    )
    inferred.feature[2].ClearField("int_domain")
    inferred.feature.add(name="new", type=schema_pb2.BYTES, domain="news")
    inferred.string_domain.add(name="news", value=["good", "bad"])
    file = tmp_path / "curated.pbtxt"
    file.write_text(CURATED)
    changes = diff(inferred, curated())
    assert {change.what for change in changes} == {"range", "presence", "shape", "type", "missing feature", "new feature"}
    accept(file, changes)
    accepted = read_schema(file)
    assert diff(inferred, accepted) == []
    features = {feature.name: feature for feature in accepted.feature}
    assert features["tips"].WhichOneof("domain_info") is None, "a range of integers means nothing for floats"
    assert list(features["tips"].not_in_environment) == ["SERVING"]
    assert list(accepted.string_domain[1].value) == ["good", "bad"]


def test_accepting_one_change_leaves_the_others(tmp_path: Path) -> None:
    inferred = changed(fare="float_domain { min: 0.0 max: 700.0 }", tips="int_domain { min: 0 max: 10 }")
    file = tmp_path / "curated.pbtxt"
    file.write_text(CURATED)
    changes = diff(inferred, curated())
    accept(file, [change for change in changes if change.feature == "tips"])
    assert diff(inferred, read_schema(file)) == [change for change in changes if change.feature == "fare"]


def test_accepting_a_value_rewrites_only_its_list_and_keeps_all_comments(tmp_path: Path) -> None:
    inferred = curated()
    inferred.string_domain[0].value.append("Mobile")
    file = tmp_path / "curated.pbtxt"
    file.write_text(CURATED)
    file.chmod(0o640)
    text = accept(file, diff(inferred, curated()))
    before, _, after = CURATED.partition("string_domain {")
    end = after.partition("}\n# The end.\n")[0]
    assert '"carry' in end
    assert text == (
        before
        + "# is one\n"
        + 'string_domain {\n  name: "payments"\n  value: "Cash {and} \\"carry\\" # not a comment"\n  value: "Card"\n  value: "Mobile"\n}'
        + "\n# The end.\n"
    )
    assert file.read_text() == text
    assert file.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["curated.pbtxt"]


def test_accepting_nothing_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "curated.pbtxt"
    file.write_text(CURATED)
    accept(file, [])
    assert file.read_text() == CURATED


def test_unusual_syntax_loses_its_comments_but_not_its_content(tmp_path: Path) -> None:
    file = tmp_path / "curated.pbtxt"
    file.write_text('feature: [{ name: "a" type: INT }, { name: "b" type: INT int_domain { min: 0 max: 1 } }]  # two\n')
    inferred = parse_schema('feature { name: "a" type: INT } feature { name: "b" type: INT int_domain { min: 0 max: 2 } }')
    accept(file, diff(inferred, read_schema(file)))
    assert read_schema(file) == inferred


def test_a_change_that_does_not_fit_the_file_leaves_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "curated.pbtxt"
    file.write_text(CURATED)
    change = SchemaChange("fair", "range", "", 'feature { name: "fair" float_domain { max: 1.0 } }', "")
    with pytest.raises(DataError, match="has no feature 'fair'"):
        accept(file, [change])
    with pytest.raises(DataError, match="'fare' has no list of values"):
        accept(file, [SchemaChange("fare", "values", "", 'string_domain { name: "fares" value: "1" }', "")])
    with pytest.raises(DataError, match="change of 'fare' \\(range\\) cannot be read"):
        accept(file, [SchemaChange("fare", "range", "", "feature {", "")])
    assert file.read_text() == CURATED


def test_changes_travel_through_a_summary() -> None:
    changes = diff(changed(tips="type: FLOAT"), curated())
    assert changes_of({"changes": [vars(change) for change in changes]}) == changes
    assert changes_of({}) == []


def test_a_schema_that_cannot_be_parsed_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "taxi.pbtxt"
    file.write_text('feature {\n  name: "fare"\n  kind: FLOAT\n}\n')
    with pytest.raises(DataError, match=r"taxi\.pbtxt, line 3: .*kind"):
        read_schema(file)
    with pytest.raises(DataError, match=r"There is no schema file at .*taxy\.pbtxt.*Did you mean 'taxi\.pbtxt'"):
        read_schema(tmp_path / "taxy.pbtxt")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_schema(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('feature { name: "a" } feature { name: "a" }', "'a' is there twice"),
        ('feature { name: "a" type: BYTES domain: "x" } string_domain { name: "y" }', "refers to the domain 'x'"),
        ('feature { name: "a" not_in_environment: "SERVING" } default_environment: "TRAINING"', "refers to the environment 'SERVING'"),
        ('feature { name: "a" type: INT int_domain { min: 3 max: 2 } }', "the range 3 to 2, which is empty"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        parse_schema(text)


def test_a_review_loads_no_heavy_library() -> None:
    code = (
        "import sys, components.schema.review as review; from components.schema.file import parse_schema;"
        "review.diff(parse_schema(''), parse_schema(''));"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'apache_beam', 'pyarrow', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
