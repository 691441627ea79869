"""The one hash. Its values stand here literally: a change of the encoding must be seen, for it empties every cache."""

from __future__ import annotations

import enum
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.hashing import digest, digest_file, digest_tree, encode, extent


class Color(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Point:
    x: int
    y: float


VALUES = [
    (None, b"n0:"),
    (True, b"b1:1"),
    (False, b"b1:0"),
    (1, b"i1:1"),
    (-12, b"i3:-12"),
    (1.0, b"f20:0x1.0000000000000p+0"),
    ("1", b"s1:1"),
    ("é", b"s2:\xc3\xa9"),
    (b"1", b"y1:1"),
    ([1, "1"], b"l8:i1:1s1:1"),
    ([[1], []], b"l10:l4:i1:1l0:"),
    ({1, 2}, b"t8:i1:1i1:2"),
    ({"b": 1, "a": 2}, b"d16:s1:ai1:2s1:bi1:1"),
    (Color.RED, b"e14:s5:Colors3:RED"),
    (Point(1, 2.0), b"o48:s5:Pointd36:s1:xi1:1s1:yf20:0x1.0000000000000p+1"),
]


@pytest.mark.parametrize(("value", "encoded"), VALUES, ids=[repr(value) for value, _ in VALUES])
def test_encoding_is_what_it_always_was(value: object, encoded: bytes) -> None:
    assert encode(value) == encoded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "0db2e8105005bd716261bab87ab0dafb638c42e4ff9c41bec5c39a735053dfc8"),
        ({"steps": 200, "rates": (0.1, 0.5), "name": None}, "88765d70b9ca5d1d4de3019461365821e63d67e91f5c7d6f2f33d77594bda931"),
        ([("features.py", "abc"), ("model.py", "def")], "b4309f8387ba869b0c95102b6872a3dbb31246f82033cfb89281ec9106d76d7f"),
    ],
)
def test_digest_is_what_it_always_was(value: object, expected: str) -> None:
    assert digest(value) == expected


def test_no_two_values_of_different_kind_or_nesting_have_one_encoding() -> None:
    values = [value for value, _ in VALUES] + [
        0,
        "",
        b"",
        [],
        {},
        set(),
        [None],
        [[]],
        ["1", "1"],
        ["11"],
        [1, 1],
        [11],
        {"a": [1]},
        {"a": 1},
    ]
    for first, second in itertools.combinations(values, 2):
        assert encode(first) != encode(second), (first, second)


def test_tuples_equal_lists_and_the_order_of_keys_does_not_matter() -> None:
    assert digest((1, (2,))) == digest([1, [2]])
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(Path("a/b")) == digest("a/b")
    assert digest(frozenset("ab")) == digest({"b", "a"})


def test_what_is_no_plain_data_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match=r"Expected plain data that can be hashed\. Received: <object .* of type object"):
        digest([1, object()])


def test_file_and_tree_have_the_digest_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_text("two")
    (tmp_path / "one.txt").write_text("one")
    assert digest_file(tmp_path / "one.txt") == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert digest_tree(tmp_path / "one.txt") == digest_file(tmp_path / "one.txt")
    assert digest_tree(tmp_path) == "361ce704650f8ac636216ecfee6069a8a285c657c5a2cb987453945e1a3c8ef5"
    assert extent(tmp_path) == (6, 2)


def test_times_modes_and_empty_folders_do_not_count_but_names_and_contents_do(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_text("one")
    before = digest_tree(tmp_path)
    os.utime(file, (1, 1))
    file.chmod(0o600)
    (tmp_path / "empty").mkdir()
    assert digest_tree(tmp_path) == before
    file.rename(tmp_path / "uno.txt")
    assert digest_tree(tmp_path) != before
    (tmp_path / "uno.txt").rename(file)
    file.write_text("eno")
    assert digest_tree(tmp_path) != before
