"""CsvExampleGen on well-formed and on broken files."""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.example_gen import CsvExampleGen
from components.records import read_split, shard_files
from pipeline.artifacts import Artifact, Examples
from pipeline.errors import DataError
from tests.harness import Outputs, run

REPOSITORY = Path(__file__).parents[2]


def generate(project: Path, files: dict[str, bytes] | bytes, **parameters: Any) -> Outputs:
    for name, content in (files if isinstance(files, dict) else {"a.csv": files}).items():
        (project / name).write_bytes(content)
    return run(CsvExampleGen, project, **{"input": "*.csv*", "splits": {"all": 1}, **parameters})


def rows(examples: Artifact, split: str = "all") -> list[dict[str, Any]]:
    """The rows of a split, with single values instead of lists."""
    batches = read_split(examples.split_path(split))
    return [{name: value and value[0] for name, value in row.items()} for batch in batches for row in batch.to_pylist()]


def test_rows_become_examples_with_types_and_missing_values(tmp_path: Path) -> None:
    made = generate(tmp_path, b'n,x,text,none\n1,0.5,"a ""quoted"" one",\n2,,,\n')
    assert rows(made["examples"]) == [
        {"n": 1, "x": 0.5, "text": b'a "quoted" one', "none": None},
        {"n": 2, "x": None, "text": None, "none": None},
    ]


@pytest.mark.parametrize(
    ("content", "parameters"),
    [
        (b"n,s\n1,a\n2,b\n", {}),
        (b"\xef\xbb\xbfn,s\n1,a\n2,b\n", {}),
        (b"n,s\r\n1,a\r\n2,b\r\n", {}),
        (b"\n\nn,s\n\n1,a\n\n2,b\n\n", {}),
        (b"n,s\n1,a\n2,b", {}),
        (b'"n","s"\n"1","a"\n"2","b"\n', {}),
        (b"n\ts\n1\ta\n2\tb\n", {"delimiter": "\t"}),
        (b"1,a\n2,b\n", {"column_names": ("n", "s")}),
        ("n,s\n1,a\n2,b\n".encode("utf-16"), {"encoding": "utf-16"}),
        (b"n,s\n1,a\n2,b\n", {"quoting": False}),
    ],
)
def test_all_spellings_of_a_file_give_the_same_rows(tmp_path: Path, content: bytes, parameters: dict[str, Any]) -> None:
    assert rows(generate(tmp_path, content, **parameters)["examples"]) == [{"n": 1, "s": b"a"}, {"n": 2, "s": b"b"}]


def test_quoted_line_breaks_are_part_of_the_value(tmp_path: Path) -> None:
    made = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="tests/data/csv_multi_line_string.csv", splits={"all": 1})
    with (REPOSITORY / "tests/data/csv_multi_line_string.csv").open(newline="") as stream:
        expected = [row["B"].encode() for row in csv.DictReader(stream)]
    assert [str(row["B"]).encode() if isinstance(row["B"], int) else row["B"] for row in rows(made["examples"])] == expected


def test_quotes_are_letters_where_quoting_is_off(tmp_path: Path) -> None:
    content = b'ham\tI said "no\nspam\t"x" and y\nham\t"\n'
    made = generate(tmp_path, content, delimiter="\t", column_names=("label", "text"), quoting=False)
    assert [row["text"] for row in rows(made["examples"])] == [b'I said "no', b'"x" and y', b'"']
    with pytest.raises(DataError, match=r"a.csv, line 2: 3 fields where 2 were expected"):
        generate(tmp_path, b'a,b\n1,"x,y"\n', quoting=False)
    with pytest.raises(DataError, match=r"quote is opened in this row and never closed.\n.*give quoting=False"):
        generate(tmp_path, content, delimiter="\t", column_names=("label", "text"))


def test_every_message_of_the_spam_collection_is_a_row(tmp_path: Path) -> None:
    form = {"delimiter": "\t", "column_names": ("label", "text"), "quoting": False, "splits": {"all": 1}}
    made = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/sms_spam/sms.tsv", **form)
    lines = (REPOSITORY / "data/sms_spam/sms.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    assert [(row["label"] + b"\t" + row["text"]).decode() for row in rows(made["examples"])] == lines
    assert len(lines) == 5574


def test_texts_that_stand_for_a_missing_value_can_be_named(tmp_path: Path) -> None:
    made = generate(tmp_path, b"n,s\n1,NA\nNA,x\n,\n", missing_values=("", "NA"))
    assert rows(made["examples"]) == [{"n": 1, "s": None}, {"n": None, "s": b"x"}, {"n": None, "s": None}]


def test_header_with_a_line_break_is_read(tmp_path: Path) -> None:
    assert rows(generate(tmp_path, b'"a\nb",c\n1,2\n')["examples"]) == [{"a\nb": 1, "c": 2}]


def test_other_encodings_are_read_when_they_are_named(tmp_path: Path) -> None:
    made = generate(tmp_path, "s\nZürich\n".encode("latin-1"), encoding="latin-1")
    assert rows(made["examples"]) == [{"s": "Zürich".encode()}]


def test_compressed_and_several_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    made = generate(tmp_path, {"b.csv.gz": gzip.compress(b"n\n3\n"), "a.csv": b"n\n1\n2\n", "c.csv": b"\xef\xbb\xbfn\n4\n"})
    assert [row["n"] for row in rows(made["examples"])] == [1, 2, 3, 4]
    assert made["examples"].summary()["files"] == ["a.csv", "b.csv.gz", "c.csv"]


def test_random_tables_are_read_as_the_csv_module_reads_them(tmp_path: Path) -> None:
    choose = random.Random(7)
    letters = ["a", '"', '""', ",", "\n", "\r\n", " ", "ü", "'", "\t", ""]
    table = [["".join(choose.choices(letters, k=choose.randrange(6))) for _ in range(4)] for _ in range(3000)]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["w", "x", "y", "z"], *table])
    made = run(CsvExampleGen, tmp_path, input="a.csv", splits={"all": 1})
    assert [[(value or b"").decode() for value in row.values()] for row in rows(made["examples"])] == table


def test_row_longer_than_a_block_is_read(tmp_path: Path) -> None:
    text = "x\n" * 5_000_000
    made = generate(tmp_path, f'n,s\n1,"{text}"\n2,"{text}"\n3,y\n'.encode())
    assert [row["s"] for row in rows(made["examples"])] == [text.encode(), text.encode(), b"y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,x\n2\n3,z\n", r"a.csv, line 3: 1 fields where 2 were expected \(a, b\). Received: '2'"),
        (b'a,b\n1,"x\ny"\n2,"\n\n"\n2,3,4\n', r"a.csv, line 7: 3 fields where 2 were expected"),
        (b'a,b\n1,x\n2,"y\nz",3\n', r"a.csv, lines 3 to 4 \(one row.*\): 3 fields"),
        (b"a,b\n1,x\n2,caf\xe9\n", r"a.csv, line 3: byte 0xe9 at position 6 is not UTF-8.\nGive the file's encoding"),
        (b"\xe9,b\n1,2\n", r"a.csv, line 1: byte 0xe9"),
        ("a,b\n1,x\n".encode("utf-16"), r"a.csv, line 1: the file is UTF-16.*\nGive encoding='utf-16'"),
        (b"a,b,a,a\n1,2,3,4\n", r"a.csv, line 1: 3 columns are named 'a'"),
        (b"a,,b, \n1,2,3,4\n", r"a.csv, line 1: column 2 has no name; column 4 has no name"),
        (b"a;b\n1;2\n", r"a.csv, line 1: the header is one column, 'a;b'.\nGive delimiter=';'"),
        (b"a,b\n", r"a.csv has no rows: it holds nothing but a header"),
        (b"a,b", r"a.csv has no rows: it holds nothing but a header"),
        (b"\n\n", r"a.csv has no rows: it holds blank lines only"),
        (b'a,b\n1,x\n2,"y\n3,z\n', r"a.csv, line 3: a quote is opened in this row and never closed"),
        (b'a,b\n1,"x\n2,y\n', r"a.csv, line 2: a quote is opened in this row and never closed"),
        (b'a,b\n1,"x\n' + b"2,y\n" * 1_000_000, r"a.csv, line 2: a quote is opened in this row and never closed"),
    ],
)
def test_broken_file_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(tmp_path, content)


def test_broken_row_far_behind_is_named_with_its_line(tmp_path: Path) -> None:
    good = b'1,"a\nb"\n' * 400_000
    with pytest.raises(DataError, match=r"a.csv, line 800002: 3 fields"):
        generate(tmp_path, b"a,b\n" + good + b"1,2,3\n" + good)


def test_broken_line_of_a_compressed_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.csv.gz, line 3: 1 fields"):
        generate(tmp_path, {"a.csv.gz": gzip.compress(b"a,b\n1,2\n3\n")})


@pytest.mark.parametrize("content", [gzip.compress(random.Random(0).randbytes(100_000).hex().encode())[:-9], b"a,b\n1,2\n"])
def test_damaged_compression_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a.csv.gz cannot be read as CSV"):
        generate(tmp_path, {"a.csv.gz": content})


@pytest.mark.parametrize(
    ("header", "message"),
    [(b"a,c", "only a.csv has b; only b.csv has c"), (b"b,a", "the same names in another order"), (b"a,b,c", "only b.csv has c")],
)
def test_different_headers_name_both_files_and_the_columns(tmp_path: Path, header: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a.csv and .*b.csv have different columns: {message}"):
        generate(tmp_path, {"a.csv": b"a,b\n1,2\n", "b.csv": header + b"\n1,2,3\n"})


def test_header_where_none_was_expected_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file has a header, and column_names says that it has none"):
        generate(tmp_path, b"n,s\n1,a\n", column_names=("n", "s"))


def test_file_that_changes_between_driver_and_executor_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"n\n1\n2\n")
    node = CsvExampleGen(input="a.csv", splits={"all": 1})
    prepared = CsvExampleGen.driver().prepare(node, {}, tmp_path)
    (tmp_path / "a.csv").write_bytes(b"n\n1\n3\n")
    made = generate(tmp_path, b"n\n1\n3\n")
    with pytest.raises(DataError, match=r"a.csv changed while it was read"):
        node.execute(made.context, examples=Examples(tmp_path / "out"), **prepared.parameters)


def test_rows_in_are_rows_out_and_are_recorded(tmp_path: Path) -> None:
    made = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/taxi/span-{SPAN}/*.csv")
    examples, balance = made["examples"], made.context.rows
    assert balance is not None
    assert (balance.read, balance.missing) == (15_002, 0)
    assert examples.record_counts == dict(balance.written) == {split: len(rows(examples, split)) for split in ("train", "eval")}
    assert {name: value for name, value in examples.properties.items() if name not in ("record_counts", "input_fingerprint")} == {
        "span": 1,
        "split_names": '["train", "eval"]',
        "file_format": "tfrecords_gzip",
        "payload_format": "FORMAT_TF_EXAMPLE",
    }
    assert len(str(examples.properties["input_fingerprint"])) == 64


def test_summary_says_what_was_read_and_follows_its_schema(tmp_path: Path) -> None:
    examples = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/taxi/span-{SPAN}/*.csv")["examples"]
    summary = examples.summary()
    jsonschema.validate(summary, json.loads((REPOSITORY / "schemas/summaries/Examples.json").read_text()))
    with (REPOSITORY / "data/taxi/span-1/trips.csv").open() as stream:
        table = list(csv.DictReader(stream))
    missing = {name: sum(row[name] == "" for row in table) for name in table[0]}
    assert {column["name"]: column["missing"] for column in summary["columns"]} == missing
    assert {split: counts["rows"] for split, counts in summary["splits"].items()} == examples.record_counts
    assert (summary["files"], summary["span"], summary["version"]) == (["data/taxi/span-1/trips.csv"], 1, None)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    made = [run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/penguins/*.csv", shards=2)["examples"] for _ in range(2)]
    contents = [{str(file.relative_to(examples.path)): file.read_bytes() for file in examples.path.rglob("*.*")} for examples in made]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 5


def test_number_of_shards_can_be_given(tmp_path: Path) -> None:
    examples = run(CsvExampleGen, tmp_path, project=REPOSITORY, input="data/penguins/*.csv", shards=3)["examples"]
    assert [len(shard_files(examples.split_path(split))) for split in examples.splits] == [3, 3]


def test_memory_does_not_grow_with_the_rows_and_tensorflow_is_not_loaded(tmp_path: Path) -> None:
    line = ",".join(["text of some length"] * 20) + "\n"
    for name, count in (("small", 100_000), ("large", 500_000)):
        with (tmp_path / f"{name}.csv").open("w") as stream:
            stream.write(",".join(f"c{index}" for index in range(20)) + "\n")
            stream.writelines([line] * count)
    code = f"""
import pathlib, resource, sys
from components.example_gen import CsvExampleGen
from tests.harness import run
for name in ("small", "large"):
    run(CsvExampleGen, pathlib.Path({str(tmp_path)!r}), input=name + ".csv", splits={{"all": 1}})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print([name for name in ("tensorflow", "apache_beam") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    small, large, modules = done.stdout.strip().splitlines()
    assert modules == "[]"
    assert (int(large) - int(small)) * 1024 < (tmp_path / "large.csv").stat().st_size / 3
