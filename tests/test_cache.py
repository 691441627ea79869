"""The cache: what is part of a key, what is not, when a hit is refused, and how a miss is explained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifacts import Artifact
from pipeline.cache import CacheKey, KeyPart, compute_key, explain
from pipeline.errors import DefinitionError
from pipeline.hashing import digest
from tests.fakes import Adder, Applying, Doubler, FileSource, Marked, NearDoubler, NearFailing, Numbers, Source
from tests.project import Project, Ran

FEATURES = """
import helper

OFFSET = 1

def apply(values):
    return [helper.scale(value) + OFFSET for value in values]
"""
HELPER = """
def scale(value):
    return value * 10
"""


def applying(project: Project) -> Ran:
    return project.run(Applying(Source(), function="features"))


@pytest.fixture
def applied(project: Project) -> Ran:
    """A run whose node depends on user code in two files."""
    project.write("features.py", FEATURES)
    project.write("helper.py", HELPER)
    return applying(project)


def edit(project: Project, name: str, old: str, new: str) -> None:
    """Changes a file as an editor would, and lets a new process begin, as each command does."""
    file = project.folder / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def key(node: Any, *, digests: tuple[str, ...] = ("a",), **parameters: Any) -> CacheKey:
    inputs = {"numbers": tuple(Numbers(Path("/x"), id=number, digest=digest) for number, digest in enumerate(digests))}
    return compute_key(node, inputs, {**node.parameters, **parameters}, folders=())


def part(key: CacheKey, name: str) -> KeyPart:
    return next(part for part in key.parts if part.name == name)


def test_key_has_a_part_for_each_thing_that_shapes_the_result() -> None:
    made = key(Doubler(Source(), factor=3))
    assert [part.name for part in made.parts] == ["component", "input numbers", "parameter factor"]
    assert part(made, "parameter factor") == KeyPart("parameter factor", digest(3), "3")
    assert CacheKey.from_json(made.to_json()) == made


def test_key_is_what_it_always_was() -> None:
    parts = (KeyPart("component", "c0"), KeyPart("input numbers", "11"), KeyPart("parameter factor", "22", "3"))
    assert CacheKey(parts).digest == "852c106a5ff4f7755552e167228bb275d5ff54b16a1e6ac2bc3af6147918f376"
    assert CacheKey((*parts[:2], dataclasses.replace(parts[2], text="three"))).digest == CacheKey(parts).digest


def test_content_order_and_parameters_change_the_key_and_ids_paths_and_options_do_not() -> None:
    node = Doubler(Source())
    assert key(node).digest == key(Doubler(Source(), id="other", cache=False, retries=3, timeout=9, beam_args=["--x"])).digest
    assert key(node, digests=("a", "b")).digest != key(node, digests=("b", "a")).digest
    assert key(node, digests=("b",)).digest != key(node).digest
    assert key(node, factor=3).digest != key(node).digest
    assert key(NearDoubler(Source())).digest != key(node).digest


def test_version_of_a_library_that_shapes_the_result_is_part_of_the_key() -> None:
    class Versioned(Doubler):
        libraries = ("pytest",)

    assert part(key(Versioned(Source())), "library pytest").text == pytest.__version__


def test_parameter_that_cannot_be_hashed_is_refused_by_name() -> None:
    with pytest.raises(DefinitionError, match=r"Node 'Doubler': parameter 'factor' cannot be part of a cache key\. Expected plain data"):
        key(Doubler(Source()), factor=object())


def test_nothing_changed_hits_and_names_the_run_that_did_the_work(project: Project) -> None:
    first = project.run(NearDoubler(Source()))
    for _ in range(2):
        again = project.run(NearDoubler(Source()))
        assert again.states == {"Source": "cached", "NearDoubler": "cached"}
        assert again.reasons("NearDoubler") == (f"nothing changed since run {first.result.run}",)
        assert again.output("NearDoubler").id == first.output("NearDoubler").id
    assert len(project.published()) == 2


def test_changed_parameter_misses_and_says_old_and_new(project: Project) -> None:
    project.run(NearDoubler(Source(), factor=2))
    ran = project.run(NearDoubler(Source(), factor=3))
    assert ran.states == {"Source": "cached", "NearDoubler": "done"}
    assert ran.reasons("NearDoubler") == ("factor is 3, was 2",)


def test_changed_user_code_misses_and_names_file_and_line(project: Project, applied: Ran, fresh: Callable[[], None]) -> None:
    edit(project, "features.py", "OFFSET = 1", "OFFSET = 2")
    fresh()
    ran = applying(project)
    assert ran.states == {"Source": "cached", "Applying": "done"}
    assert ran.reasons("Applying") == ("features.py changed (line 3)",)
    assert (ran.output("Applying").path / "numbers.json").read_text() == "[12, 22, 32]"


def test_changed_helper_module_misses_the_cache(project: Project, applied: Ran, fresh: Callable[[], None]) -> None:
    edit(project, "helper.py", "value * 10", "value * 20")
    fresh()
    ran = applying(project)
    assert ran.reasons("Applying") == ("helper.py changed (line 2)",)
    assert (ran.output("Applying").path / "numbers.json").read_text() == "[21, 41, 61]"


def test_untouched_user_code_and_an_unused_file_hit(project: Project, applied: Ran) -> None:
    project.write("unused.py", "x = 1\n")
    (project.folder / "helper.py").touch()
    assert applying(project).state("Applying") == "cached"


def test_code_that_comes_and_goes_is_named(project: Project, applied: Ran, fresh: Callable[[], None]) -> None:
    edit(project, "features.py", "import helper", "import second as helper")
    project.write("second.py", HELPER)
    fresh()
    assert set(applying(project).reasons("Applying")) == {"features.py changed (line 1)", "second.py is new", "helper.py is gone"}


def test_reverted_change_hits_again(project: Project, applied: Ran, fresh: Callable[[], None]) -> None:
    edit(project, "features.py", "OFFSET = 1", "OFFSET = 2")
    fresh()
    applying(project)
    edit(project, "features.py", "OFFSET = 2", "OFFSET = 1")
    fresh()
    ran = applying(project)
    assert ran.reasons("Applying") == (f"nothing changed since run {applied.result.run}",)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", "(line 2)"),
        ("a\nb\nc\nd\n", "a\nB\nC\nd\n", "(lines 2-3)"),
        ("a\nb\nc\nd\n", "A\nb\nc\nD\n", "(lines 1, 4)"),
        ("a\nb\nc\n", "a\nc\n", "(line 2)"),
        ("a\n", "a\nb\n", "(line 2)"),
        ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "x\n2\nx\n4\nx\n6\nx\n8\nx\n", "(lines 1, 3, 5, 7, ...)"),
    ],
)
def test_changed_lines_are_counted_in_the_text_of_now(tmp_path: Path, before: str, after: str, lines: str) -> None:
    (tmp_path / "features.py").write_text(after)
    old, new = (CacheKey((KeyPart("code features.py", name),)) for name in ("old", "new"))
    assert explain(new, old, [tmp_path], lambda sha, suffix: {"old.py": before}[sha + suffix]) == (f"features.py changed {lines}",)


def test_explanation_without_the_earlier_text_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("a\n")
    old, new = (CacheKey((KeyPart("code features.py", name),)) for name in ("old", "new"))
    assert explain(new, old, [tmp_path], lambda sha, suffix: None) == ("features.py changed",)


def test_each_kind_of_change_has_its_sentence() -> None:
    both = [("component", "a.B", "a.B"), ("input x", "", ""), ("library numpy", "1.26", "2.0")]
    old, new = (CacheKey(tuple(KeyPart(part[0], str(turn), part[turn]) for part in both)) for turn in (1, 2))
    old = CacheKey((*old.parts, KeyPart("input files", "1", "2 files")))
    new = CacheKey((*new.parts, KeyPart("parameter y", "2", "7")))
    assert set(explain(new, old, [], lambda sha, suffix: None)) == {
        "the component a.B itself changed",
        "the input x changed",
        "numpy is 2.0, was 1.26",
        "y is new",
        "input files is gone",
    }


def test_component_of_the_users_own_is_known_by_its_file_and_what_that_imports(project: Project, fresh: Callable[[], None]) -> None:
    definition = """
    from pipeline import Component, Input, Output, Pipeline
    from tests.fakes import Numbers, Source, read, write
    import rules

    class Tripler(Component):
        isolated = False
        def execute(self, context, numbers: Input[Numbers], tripled: Output[Numbers]) -> None:
            write(tripled, [rules.triple(number) for number in read(numbers)])

    def create_pipeline():
        return Pipeline("own", [Tripler(Source())])
    """
    project.write("definition.py", definition)
    project.write("rules.py", "def triple(x):\n    return 3 * x\n")
    project.run_file()
    fresh()
    assert project.run_file().state("Tripler") == "cached"
    edit(project, "rules.py", "3 * x", "x + x + x + 1")
    fresh()
    ran = project.run_file()
    assert ran.reasons("Tripler") == ("rules.py changed (line 2)",)
    assert (ran.output("Tripler").path / "numbers.json").read_text() == "[4, 7, 10]"
    edit(project, "definition.py", "isolated = False", "isolated = False  # light")
    fresh()
    assert project.run_file().reasons("Tripler") == ("definition.py changed (line 6)",)


def test_content_digest_stops_the_ripple(project: Project) -> None:
    def chain(values: tuple[int, ...]) -> Ran:
        source = Source(values=values)
        total = NearDoubler(source, id="zero", factor=0)
        return project.run(NearDoubler(total, id="after"))

    chain((1, 2, 3))
    ran = chain((4, 5, 6))
    assert ran.states == {"Source": "done", "zero": "done", "after": "cached"}
    assert ran.reasons("zero") == ("the input numbers changed",)


def test_same_work_in_another_pipeline_under_another_name_hits(project: Project) -> None:
    first = project.run(NearDoubler(Source()), name="one")
    ran = project.run(NearDoubler(Source(id="start"), id="twice"), name="two")
    assert ran.states == {"start": "cached", "twice": "cached"}
    assert ran.output("twice").id == first.output("NearDoubler").id


def test_input_of_a_custom_driver_is_part_of_the_key(project: Project) -> None:
    file = project.write("numbers.txt", "1 2 3")
    project.run(FileSource(file="numbers.txt"))
    file.rename(project.folder / "renamed.txt")
    assert project.run(FileSource(file="renamed.txt")).state("FileSource") == "cached"
    project.write("renamed.txt", "1 2 3 4")
    assert project.run(FileSource(file="renamed.txt")).reasons("FileSource") == (
        "the input files changed: 1 file, 7 bytes, was 1 file, 5 bytes",
    )


def damaged(artifact: Artifact, how: str) -> str:
    """Damages an artifact; returns what is wrong with it then."""
    file = artifact.path / "numbers.json"
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:4])
        return f"{artifact.path} has 4 bytes, and 9 were published"
    file.unlink()
    if how == "deleted":
        return f"{artifact.path} has 0 bytes, and 9 were published"
    artifact.path.rmdir()
    return f"{artifact.path} is missing"


@pytest.mark.parametrize("how", ["truncated", "deleted", "folder deleted"])
def test_damaged_output_is_a_miss_with_its_reason(project: Project, how: str) -> None:
    first = project.run(NearDoubler(Source()))
    problem = damaged(first.output("NearDoubler"), how)
    ran = project.run(NearDoubler(Source()))
    assert ran.states == {"Source": "cached", "NearDoubler": "done"}
    assert ran.reasons("NearDoubler") == (f"its cached output 'doubled' is damaged: {problem}",)
    assert project.run(NearDoubler(Source())).reasons("NearDoubler") == (f"nothing changed since run {ran.result.run}",)


def test_failed_work_is_no_hit(project: Project) -> None:
    marker = project.folder / "marker"
    node = NearFailing(Source(), marker=str(marker))
    assert project.run(node).state("NearFailing") == "failed"
    assert project.run(node).states == {"Source": "cached", "NearFailing": "done"}


@pytest.mark.parametrize(
    ("node", "options", "reason"),
    [
        ({"cache": False}, {}, "its cache is off (cache=False)"),
        ({}, {"rerun": ("neardoubler",)}, "asked for with --rerun"),
        ({}, {"cache": False}, "the cache is off for this run (--no-cache)"),
    ],
)
def test_cache_can_be_switched_off_for_a_node_a_run_and_once(project: Project, node: Any, options: Any, reason: str) -> None:
    project.run(NearDoubler(Source()))
    ran = project.run(NearDoubler(Source(), **node), **options)
    assert ran.reasons("NearDoubler") == (reason,)
    assert ran.state("Source") == ("done" if options == {"cache": False} else "cached")
    assert project.run(NearDoubler(Source())).state("NearDoubler") == "cached"


def test_first_run_says_so(project: Project) -> None:
    assert project.run(Source()).reasons("Source") == ("it has not run before",)


def test_missing_optional_input_is_another_key_than_a_given_one(project: Project) -> None:
    source = Source()
    project.run(Adder(source, source))
    assert project.run(Adder(Source())).reasons("Adder") == ("input second is gone",)


def test_deleted_empty_file_is_damage(project: Project) -> None:
    project.run(Marked())
    (marker,) = project.root.glob("artifacts/*/Marked/*/*/MARK")
    marker.unlink()
    assert project.run(Marked()).reasons("Marked") == (
        f"its cached output 'marked' is damaged: {marker.parent} has 1 files, and 2 were published",
    )
