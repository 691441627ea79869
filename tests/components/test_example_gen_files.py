"""ExampleGens that read pictures, texts and sounds from folders and archives."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.example_gen import AudioFolderExampleGen, ImageFolderExampleGen, TextFolderExampleGen
from components.example_gen.base import FileExampleGen
from components.example_gen.file_kinds import ImageKind
from components.example_gen.files_reader import BadContentError
from pipeline.errors import DataError, DefinitionError
from tests.components.media import generate, issues, picture, rows, sound, write, write_tar, write_zip

REPOSITORY = Path(__file__).parents[2]
PICTURES = {f"{'ab'[number % 2]}/{number}.jpg": picture(number) for number in range(12)}


def test_a_picture_becomes_its_bytes_and_what_they_say(tmp_path: Path) -> None:
    png = picture(1, (7, 5), "PNG", "L")
    write(tmp_path, {"data/cat/a.png": png})
    assert rows(generate(ImageFolderExampleGen, tmp_path, input="data")["examples"]) == [
        {
            "image/encoded": png,
            "image/format": b"png",
            "image/width": 7,
            "image/height": 5,
            "image/channels": 1,
            "image/bytes": len(png),
            "image/filename": b"data/cat/a.png",
            "label": b"cat",
        }
    ]


@pytest.mark.parametrize(
    ("form", "mode", "channels"),
    [("JPEG", "RGB", 3), ("JPEG", "L", 1), ("JPEG", "CMYK", 4), ("PNG", "RGBA", 4), ("PNG", "P", 3), ("BMP", "RGB", 3), ("GIF", "P", 3)],
)
def test_format_size_and_channels_are_those_of_the_file(form: str, mode: str, channels: int) -> None:
    for size in ((16, 12), (600, 513), (1, 1)):
        data = picture(0, size, form, mode)
        assert ImageKind().inspect(data) == (
            data,
            {"image/format": form.lower().encode(), "image/width": size[0], "image/height": size[1], "image/channels": channels},
        )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF"])
@pytest.mark.parametrize("size", [(40, 30), (700, 520)])
def test_a_picture_that_is_cut_off_does_not_decode(form: str, size: tuple[int, int]) -> None:
    data = picture(0, size, form)
    for end in (0, 3, 20, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(BadContentError):
            ImageKind().inspect(data[:end])


def test_sounds_tell_rate_seconds_and_channels(tmp_path: Path) -> None:
    files = {"data/x/a.wav": sound(0), "data/x/b.flac": sound(1, form="FLAC", channels=2), "data/y/c.ogg": sound(2, form="OGG", rate=16000)}
    write(tmp_path, files)
    found = rows(generate(AudioFolderExampleGen, tmp_path, input="data")["examples"])
    told = [[row[f"audio/{name}"] for name in ("format", "sample_rate", "channels")] + [row["label"]] for row in found]
    assert told == [[b"wav", 8000, 1, b"x"], [b"flac", 8000, 2, b"x"], [b"ogg", 16000, 1, b"y"]]
    assert [row["audio/seconds"] for row in found] == pytest.approx([0.05] * 3)
    assert [row["audio/encoded"] for row in found] == list(files.values())


def test_texts_are_stored_as_utf_8(tmp_path: Path) -> None:
    write(tmp_path, {"data/de/a.txt": "Zürich".encode("latin-1"), "data/de/b.txt": b"x"})
    found = rows(generate(TextFolderExampleGen, tmp_path, input="data", encoding="latin-1")["examples"])
    assert [(row["text"], row["text/characters"], row["text/bytes"]) for row in found] == [("Zürich".encode(), 6, 6), (b"x", 1, 1)]


def test_fields_in_the_name_become_features(tmp_path: Path) -> None:
    write(tmp_path, {"data/7_theo_12.wav": sound(0), "data/3_mary_ann_4.wav": sound(1)})
    made = generate(AudioFolderExampleGen, tmp_path, input="data/*.wav", names="{label}_{speaker}_{take:int}.wav")
    told = [(row["label"], row["speaker"], row["take"]) for row in rows(made["examples"])]
    assert told == [(b"3", b"mary_ann", 4), (b"7", b"theo", 12)]


def test_all_records_of_a_speaker_are_in_one_split(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{number}_{speaker}.wav": sound(number) for number, speaker in enumerate("abcdefghij" * 4)})
    splits = {"train": 1, "eval": 1}
    examples = generate(AudioFolderExampleGen, tmp_path, input="data", names="{label}_{who}.wav", split_by="who", splits=splits)["examples"]
    train, evaluated = ({row["who"] for row in rows(examples, split)} for split in splits)
    assert train
    assert evaluated
    assert not train & evaluated


def test_equal_files_are_in_one_split_whatever_they_are_called(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{'ab'[number % 2]}/{number}.jpg": picture(number // 2) for number in range(60)})
    examples = generate(ImageFolderExampleGen, tmp_path, input="data", splits={"train": 1, "eval": 1})["examples"]
    assert examples.summary()["duplicates"]["across"] == 0
    assert sum(examples.summary()["duplicates"]["within"].values()) == 30


@pytest.mark.parametrize("name", ["d.tar", "d.tar.gz", "d.tgz", "d.tar.bz2", "d.tar.xz", "d.zip"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, name: str) -> None:
    write(tmp_path / "folder", PICTURES)
    mode = {"d.tar": "w", "d.tar.bz2": "w:bz2", "d.tar.xz": "w:xz"}.get(name, "w:gz")
    files = dict(sorted(PICTURES.items()))
    write_zip(tmp_path / name, files) if name == "d.zip" else write_tar(tmp_path / name, files, mode)
    folder, archive = (rows(generate(ImageFolderExampleGen, tmp_path, input=given)["examples"]) for given in ("folder", name))
    assert [row.pop("image/filename").decode() for row in archive] == [f"{name}/{file}" for file in files]
    assert [row.pop("image/filename").decode() for row in folder] == [f"folder/{file}" for file in files]
    assert archive == folder


def test_hostile_members_of_an_archive_do_no_harm(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "d.tar", {"../../../evil/a.jpg": picture(0), "/etc/b.jpg": picture(1), "c\n\x1b[31m/\udce9.jpg": picture(2)}, "w"
    )
    with tarfile.open(path, "a") as archive:
        for kind, name in ((tarfile.SYMTYPE, "x/link.jpg"), (tarfile.LNKTYPE, "x/hard.jpg"), (tarfile.CHRTYPE, "x/device.jpg")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    before = sorted(path for path in tmp_path.parent.rglob("*") if "execution" not in str(path))
    examples = generate(ImageFolderExampleGen, tmp_path, input="d.tar")["examples"]
    assert sorted(path for path in tmp_path.parent.rglob("*") if "execution" not in str(path)) == before
    assert [row["label"] for row in rows(examples)] == [b"evil", b"etc", rb"c\n\x1b[31m"]
    assert rows(examples)[2]["image/filename"] == rb"d.tar/c\n\x1b[31m/\xe9.jpg"


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar.gz", PICTURES).read_bytes()
    for name, content in (("cut.tar.gz", whole[: len(whole) // 2]), ("none.zip", b"no archive"), ("none.tar", b"no archive" * 100)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} cannot be read as an archive"):
            generate(ImageFolderExampleGen, tmp_path, input=name)


def test_spans_are_folders_or_archives(tmp_path: Path) -> None:
    write(tmp_path, {f"data/span-{span}/{name}": content for span in (1, 2) for name, content in PICTURES.items()})
    write_tar(tmp_path / "data/span-3.tar", {"a/x.jpg": picture(99)}, "w")
    folder = generate(ImageFolderExampleGen, tmp_path, input="data/span-{SPAN}")["examples"]
    assert (folder.properties["span"], folder.record_counts) == (2, {"all": 12})
    archive = generate(ImageFolderExampleGen, tmp_path, input="data/span-{SPAN}.tar")["examples"]
    assert (archive.properties["span"], archive.record_counts) == (3, {"all": 1})


BAD = {
    "data/a/cut.jpg": picture(50)[:200],
    "data/b/empty.jpg": b"",
    "data/b/text.jpg": b"no picture",
    "data/b/web.jpg": b"RIFF....WEBPVP8 ",
}


def test_bad_pictures_fail_and_all_are_named(tmp_path: Path) -> None:
    write(tmp_path, {**{f"data/{name}": content for name, content in PICTURES.items()}, **BAD})
    with pytest.raises(DataError) as failed:
        generate(ImageFolderExampleGen, tmp_path, input="data")
    first, *listed, hint = str(failed.value).splitlines()
    assert first == "4 bad records:"
    assert [line.strip().split(": ")[0] for line in listed] == list(BAD)
    assert "data/b/empty.jpg: it is empty" in listed[1]
    assert "it is no JPEG, PNG, BMP or GIF: it begins with b'no pictu'" in listed[2]
    assert "on_bad_record='skip'" in hint


def test_bad_pictures_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    write(tmp_path, {**{f"data/{name}": content for name, content in PICTURES.items()}, **BAD})
    made = generate(ImageFolderExampleGen, tmp_path, input="data", on_bad_record="skip")
    balance = made.context.rows
    assert balance is not None
    assert (balance.read, dict(balance.written), dict(balance.dropped), balance.missing) == (16, {"all": 12}, {"does not decode": 4}, 0)
    (issue,) = issues(made["examples"])["BAD_RECORD"]
    assert issue["text"] == "4 bad records (does not decode), left out."
    assert [record.split(": ")[0] for record in issue["records"]] == list(BAD)
    lines = (made["examples"].path / "bad_records.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == list(BAD)
    assert made["examples"].summary()["dropped"] == {"does not decode": 4}


def test_bad_pictures_are_kept_without_what_cannot_be_told(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    made = generate(ImageFolderExampleGen, tmp_path, input="data", on_bad_record="keep")
    found = rows(made["examples"])
    assert [row["image/encoded"] for row in found] == list(BAD.values())
    assert all(row["image/width"] is None and row["label"] for row in found)
    assert issues(made["examples"])["BAD_RECORD"][0]["text"] == "4 bad records (does not decode), kept as they are."
    missing = {column["name"]: column["missing"] for column in made["examples"].summary()["columns"]}
    assert (missing["image/width"], missing["label"]) == (4, 0)


@pytest.mark.parametrize(
    ("kind", "good", "files", "reason"),
    [
        (TextFolderExampleGen, b"good", {"latin.txt": b"ok\ncaf\xe9"}, "it is not UTF-8: byte 0xe9 in line 2"),
        (TextFolderExampleGen, b"good", {"blank.txt": b" \n"}, "it holds nothing but spaces"),
        (AudioFolderExampleGen, sound(0), {"cut.wav": sound(1)[:400]}, r"it is cut off after 0\.0222 seconds"),
        (AudioFolderExampleGen, sound(0), {"cut.flac": sound(1, form="FLAC", seconds=1)[:3000]}, "it"),
        (AudioFolderExampleGen, sound(0), {"none.wav": b"RIFFxxxx"}, "it does not decode as sound"),
        (AudioFolderExampleGen, sound(0), {"zero.wav": sound(1, seconds=0)}, "it holds no sound"),
    ],
)
def test_a_bad_text_or_sound_is_named_with_its_reason(
    tmp_path: Path, kind: type[FileExampleGen], good: bytes, files: dict[str, bytes], reason: str
) -> None:
    suffix = next(iter(files)).rpartition(".")[2] if kind is TextFolderExampleGen else "wav"
    write(tmp_path, {f"data/x/good.{suffix}": good, **{f"data/x/{name}": content for name, content in files.items()}})
    with pytest.raises(DataError, match=rf"(?s)1 bad record:\n  data/x/{next(iter(files))}: {reason}"):
        generate(kind, tmp_path, input="data")
    assert generate(kind, tmp_path, input="data", on_bad_record="skip")["examples"].record_counts == {"all": 1}


def test_what_differs_from_all_others_is_named(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{name}": content for name, content in PICTURES.items()} | {"data/a/huge.jpg": picture(1, (3000, 3000))})
    made = generate(ImageFolderExampleGen, tmp_path, input="data")["examples"]
    assert [(issue["feature"], issue["records"]) for issue in issues(made)["UNUSUAL_RECORD"]] == [
        ("image/width", ["data/a/huge.jpg: image/width is 3000"]),
        ("image/height", ["data/a/huge.jpg: image/height is 3000"]),
    ]
    assert made.summary()["extremes"]["image/width"]["highest"] == {"value": 3000, "records": ["data/a/huge.jpg"]}


def test_a_sound_of_another_rate_is_named(tmp_path: Path) -> None:
    write(tmp_path, {f"data/x/{number}.wav": sound(number, rate=16000 if number == 7 else 8000) for number in range(30)})
    (issue,) = issues(generate(AudioFolderExampleGen, tmp_path, input="data")["examples"])["UNUSUAL_RECORD"]
    assert (issue["feature"], issue["records"]) == ("audio/sample_rate", ["data/x/7.wav: audio/sample_rate is 16000"])
    assert issue["text"] == "1 record with audio/sample_rate 16000, where 96.67 % have 8000."


def test_a_sound_of_another_length_is_named_with_its_seconds(tmp_path: Path) -> None:
    write(tmp_path, {f"data/x/{number}.wav": sound(number, seconds=0.02 if number == 7 else 0.05) for number in range(30)})
    (issue,) = issues(generate(AudioFolderExampleGen, tmp_path, input="data")["examples"])["UNUSUAL_RECORD"]
    assert issue["text"] == "1 record with audio/seconds 0.02, where 96.67 % have 0.05."


def test_pictures_of_many_sizes_are_not_unusual(tmp_path: Path) -> None:
    write(tmp_path, {f"data/x/{number}.png": picture(number, (20 + number, 60 - number), "PNG") for number in range(30)})
    assert "UNUSUAL_RECORD" not in issues(generate(ImageFolderExampleGen, tmp_path, input="data")["examples"])


def test_what_is_required_is_checked(tmp_path: Path) -> None:
    write(tmp_path, {"data/x/a.jpg": picture(0), "data/x/b.png": picture(1, form="PNG"), "data/x/c.jpg": picture(2, (99, 12))})
    wanted = {"image/width": (10, 50), "image/format": "jpeg"}
    made = generate(ImageFolderExampleGen, tmp_path, input="data", require=wanted, on_bad_record="skip")["examples"]
    assert [row["image/filename"] for row in rows(made)] == [b"data/x/a.jpg"]
    assert issues(made)["BAD_RECORD"][0]["records"] == [
        "data/x/b.png: image/format is png, not jpeg",
        "data/x/c.jpg: image/width is 99, not 10 to 50",
    ]


def test_empty_classes_and_other_files_are_told(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{name}": content for name, content in PICTURES.items()} | {"data/README.md": b"x", "data/a/.hidden.jpg": b"x"})
    (tmp_path / "data/none/deeper").mkdir(parents=True)
    found = issues(generate(ImageFolderExampleGen, tmp_path, input="data")["examples"])
    assert found["EMPTY_CLASS"][0]["records"] == ["data/none/"]
    assert found["OTHER_FILE"][0]["records"] == ["data/README.md"]
    assert set(found) == {"EMPTY_CLASS", "OTHER_FILE"}


def test_an_empty_class_changes_the_key_of_the_cache(tmp_path: Path) -> None:
    write(tmp_path, {f"data/{name}": content for name, content in PICTURES.items()})
    node = ImageFolderExampleGen(input="data")
    before = ImageFolderExampleGen.driver().prepare(node, {}, tmp_path).parts
    (tmp_path / "data/none").mkdir()
    assert ImageFolderExampleGen.driver().prepare(node, {}, tmp_path).parts != before


def test_an_empty_class_of_an_archive_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "d.tar", PICTURES, "w")
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("none")
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    found = issues(generate(ImageFolderExampleGen, tmp_path, input="d.tar")["examples"])
    assert found["EMPTY_CLASS"][0]["records"] == ["d.tar/none/"]


@pytest.mark.parametrize("packed", [False, True])
def test_labels_come_from_a_table(tmp_path: Path, packed: bool) -> None:
    files = {f"images/{number}.jpg": picture(number) for number in range(4)}
    files["labels.csv"] = b"path,label,age\nimages/0.jpg,cat,3\nimages/2.jpg,dog,\nimages/9.jpg,dog,4\n"
    write_tar(tmp_path / "d.tar", files, "w") if packed else write(tmp_path / "d", files)
    made = generate(ImageFolderExampleGen, tmp_path, input="d.tar" if packed else "d", table="labels.csv", on_bad_record="skip")
    assert [(row["label"], row["age"]) for row in rows(made["examples"])] == [(b"cat", 3), (b"dog", None)]
    prefix = "d.tar" if packed else "d"
    found = issues(made["examples"])
    assert found["OTHER_FILE"][0]["records"] == [f"{prefix}/images/1.jpg", f"{prefix}/images/3.jpg"]
    assert found["BAD_RECORD"][0]["records"] == [f"{prefix}/images/9.jpg: the table names it, and there is no such file"]
    assert made.context.rows is not None
    assert (made.context.rows.read, made.context.rows.missing) == (3, 0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,label\na.jpg,x\n", "labels.csv has no column 'path', which names the files"),
        ("path,label\na.jpg,x\na.jpg,y\n", "labels.csv, line 3: 'd/a.jpg' is named in line 2 already"),
        ("path,image/width\na.jpg,x\n", "none of image's own"),
        ("path,label\na.jpg\n", "labels.csv cannot be read as CSV"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, message: str) -> None:
    write(tmp_path, {"d/a.jpg": picture(0), "d/labels.csv": table.encode()})
    with pytest.raises(DataError, match=message):
        generate(ImageFolderExampleGen, tmp_path, input="d", table="labels.csv")


def test_a_table_that_is_not_there_is_an_error_with_a_guess(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.jpg": picture(0), "d/labels.csv": b"path,label\na.jpg,x\n"})
    with pytest.raises(DataError, match=r"no 'label.csv' among the 2 files of the input. Did you mean 'labels.csv'"):
        generate(ImageFolderExampleGen, tmp_path, input="d", table="label.csv")


def test_an_input_without_a_picture_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.txt": b"x"})
    write_tar(tmp_path / "d.tar", {"a/b.txt": b"x"}, "w")
    with pytest.raises(DataError, match=r"There is no image among the files.*\nThey are d/a.txt"):
        generate(ImageFolderExampleGen, tmp_path, input="d")
    with pytest.raises(DataError, match=r"There is no record to write. 1 file is no record by name"):
        generate(ImageFolderExampleGen, tmp_path, input="d.tar")


def test_a_file_at_the_top_of_an_archive_has_no_label(tmp_path: Path) -> None:
    write_tar(tmp_path / "d.tar", {"a.jpg": picture(0)}, "w")
    with pytest.raises(DataError, match=r"d.tar/a.jpg: its name does not match '{label}/\*'"):
        generate(ImageFolderExampleGen, tmp_path, input="d.tar")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, packed: bool) -> None:
    name = "d.tar" if packed else "d"
    write_tar(tmp_path / name, PICTURES, "w") if packed else write(tmp_path / name, PICTURES)
    prepared = ImageFolderExampleGen.driver().prepare(ImageFolderExampleGen(input=name, splits={"all": 1}), {}, tmp_path)
    changed = {**PICTURES, "a/0.jpg": picture(77)}
    write_tar(tmp_path / name, changed, "w") if packed else write(tmp_path / name, changed)
    made = generate(ImageFolderExampleGen, tmp_path, input=name)
    made["examples"].path.joinpath("Split-all").rename(tmp_path / "away")
    with pytest.raises(DataError, match=r"changed while it was read"):
        ImageFolderExampleGen.execute(object.__new__(ImageFolderExampleGen), made.context, examples=made["examples"], **prepared.parameters)


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "d", PICTURES)
    made = [generate(ImageFolderExampleGen, tmp_path, input="d")["examples"] for _ in range(2)]
    contents = [{str(file.relative_to(one.path)): file.read_bytes() for file in one.path.rglob("*") if file.is_file()} for one in made]
    assert contents[0] == contents[1]


def test_summary_follows_its_schema(tmp_path: Path) -> None:
    files = {f"d/{name}": content for name, content in PICTURES.items()} | BAD | {"d/a/big.jpg": picture(0, (999, 999)), "d/x.md": b""}
    write(tmp_path, {name.replace("data/", "d/"): content for name, content in files.items()})
    (tmp_path / "d/none").mkdir()
    write(tmp_path, {"d/b/again.jpg": PICTURES["a/0.jpg"]})
    examples = generate(ImageFolderExampleGen, tmp_path, input="d", on_bad_record="skip")["examples"]
    assert set(issues(examples)) == {"BAD_RECORD", "DUPLICATE_RECORD", "EMPTY_CLASS", "OTHER_FILE", "UNUSUAL_RECORD"}
    jsonschema.validate(examples.summary(), json.loads((REPOSITORY / "schemas/summaries/Examples.json").read_text()))
    contents = {column["name"]: column.get("content") for column in examples.summary()["columns"]}
    assert (contents["image/encoded"], contents["image/filename"], contents["label"]) == ("image", "name", None)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"names": "x/*"}, r"The pattern of file names 'x/\*' is wrong"),
        ({"names": "{a}_{a}.jpg"}, "is wrong"),
        ({"names": "{image/width}"}, "is wrong"),
        ({"require": {"image/with": 3}}, "require: there is no feature 'image/with'. Did you mean 'image/width'"),
        ({"require": {"image/width": "3"}}, "expects a number"),
        ({"require": {"image/width": (3, 1)}}, r"expects a number, or \(lowest, highest\)"),
        ({"require": {"image/format": 3}}, "expects a text"),
        ({"on_bad_record": "ignore"}, "on_bad_record"),
    ],
)
def test_wrong_parameters_are_refused_when_the_node_is_built(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        ImageFolderExampleGen(input="data", **parameters)


def test_memory_holds_few_pictures_at_a_time(tmp_path: Path) -> None:
    """Blocks end at a number of files and at a number of bytes."""
    from components.example_gen.files_reader import FileReader

    write_tar(tmp_path / "d.tar", {f"a/{number}.jpg": b"x" * (6 << 20) for number in range(9)}, "w")
    found = ImageFolderExampleGen.driver().prepare(ImageFolderExampleGen(input="d.tar"), {}, tmp_path).parameters["input"]
    assert [block.rows for block in FileReader(ImageKind(), "{label}/*").blocks_of(found.files)] == [3, 3, 3]


def test_a_picture_of_many_frames_is_one_record(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("P", (5, 5), number) for number in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    write(tmp_path, {"d/a/x.gif": stream.getvalue()})
    assert [row["image/format"] for row in rows(generate(ImageFolderExampleGen, tmp_path, input="d")["examples"])] == [b"gif"]
