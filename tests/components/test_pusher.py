"""The Pusher and the folders that models are served from. TensorFlow is not needed."""

from __future__ import annotations

import errno
import inspect
import json
import multiprocessing
import os
import shutil
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components import serving
from components.destination import pin, standing_of, unpin, withdraw
from components.pusher import PushDriver, Pusher
from components.serving import PushRecord, publish, rollback, served_version, versions
from pipeline.artifacts import Artifact, Model, ModelBlessing
from pipeline.component import Component, Output
from pipeline.errors import DataError, DefinitionError, StorageError, UsageError
from pipeline.hashing import digest_tree
from tests.harness import Outputs, run

SCHEMAS = Path(__file__).parents[2] / "schemas" / "summaries"
GRAPH = b"\x08\x01\x12\x02\x0a\x00"  # a SavedModel: its version, and a graph of two bytes


def make_model(folder: Path, weights: bytes = b"weights", graph: bytes = GRAPH) -> Model:
    saved = folder / "Format-Serving"
    (saved / "variables").mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(graph)
    (saved / "variables/variables.index").write_bytes(b"index")
    (saved / "variables/variables.data-00000-of-00001").write_bytes(weights)
    return Model(folder, id=7, name=f"run/Trainer/model/{folder.name}", digest=digest_tree(folder), producer="Trainer")


def make_blessing(folder: Path, blessed: bool, model: Model | None = None) -> ModelBlessing:
    folder.mkdir()
    blessing = ModelBlessing(folder, {"blessed": int(blessed), "current_model_digest": model.digest if model else ""})
    blessing.write_summary({"verdict": "", "checks": [], "reasons": ["auc on all rows is 0.71; it must be at least 0.8."]})
    return blessing


def push(tmp_path: Path, model: Model, **parameters: Any) -> Outputs:
    return run(Pusher, tmp_path, inputs={"model": model}, destination="serving", **parameters)


def seen(destination: Path) -> list[str]:
    return sorted(entry.name for entry in destination.iterdir())


def test_a_blessed_model_becomes_the_next_version(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    blessing = make_blessing(tmp_path / "blessing", True, model)
    outputs = run(Pusher, tmp_path, inputs={"model": model, "blessing": blessing}, destination="serving")
    assert outputs.context.verdict is not None
    assert (outputs.context.verdict.kind, outputs.context.verdict.reasons) == ("pushed", ("Version 1 in serving.",))
    version = served_version(tmp_path / "serving")
    assert version is not None and version.record is not None
    assert (version.number, version.problem) == (1, None)
    assert (version.path / "variables/variables.data-00000-of-00001").read_bytes() == b"weights"
    assert (version.record.model, version.record.model_id, version.record.run, version.record.pipeline) == (model.name, 7, "run", "test")
    assert version.record.reasons == ("auc on all rows is 0.71; it must be at least 0.8.",)
    pushed = outputs["pushed_model"]
    assert pushed.properties == {"pushed": 1, "pushed_destination": str(version.path), "pushed_version": "1"}
    assert (pushed.path / "saved_model.pb").read_bytes() == GRAPH
    assert not (pushed.path / serving.RECORD_FILE).exists()
    jsonschema.validate(pushed.summary(), json.loads((SCHEMAS / "PushedModel.json").read_text()))


def test_versions_grow_also_after_one_that_tfx_pushed(tmp_path: Path) -> None:
    shutil.copytree(make_model(tmp_path / "tfx").path / "Format-Serving", tmp_path / "serving/1718000000")
    for name in ("a", "b"):
        push(tmp_path, make_model(tmp_path / name, name.encode()))
    assert seen(tmp_path / "serving") == ["1718000000", "1718000001", "1718000002"]
    assert versions(tmp_path / "serving")[0].record is None


def test_an_unblessed_model_is_refused_with_the_failing_thresholds(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    outputs = run(Pusher, tmp_path, inputs={"model": model, "blessing": make_blessing(tmp_path / "b", False)}, destination="serving")
    assert outputs.context.verdict is not None
    assert outputs.context.verdict.kind == "not pushed"
    assert outputs.context.verdict.reasons == ("The model is not blessed.", "auc on all rows is 0.71; it must be at least 0.8.")
    assert not any(outputs["pushed_model"].path.iterdir())
    assert not (tmp_path / "serving").exists()


def test_a_blessing_of_another_model_is_refused(tmp_path: Path) -> None:
    model, other = make_model(tmp_path / "a"), make_model(tmp_path / "b", b"other")
    with pytest.raises(DataError, match="blessing is for another model"):
        run(Pusher, tmp_path, inputs={"model": model, "blessing": make_blessing(tmp_path / "c", True, other)}, destination="serving")


def test_a_push_that_was_killed_before_it_was_recorded_is_not_repeated(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    push(tmp_path, model)
    again = push(tmp_path, model)
    assert again.context.verdict is not None
    assert again.context.verdict.reasons[0] == "Already served as version 1 in serving."
    assert again["pushed_model"].properties["pushed_version"] == "1"
    assert seen(tmp_path / "serving") == ["1"]


def test_an_older_model_is_pushed_again_under_a_new_version(tmp_path: Path) -> None:
    first, second = make_model(tmp_path / "a", b"a"), make_model(tmp_path / "b", b"b")
    for model in (first, second, first):
        push(tmp_path, model)
    assert seen(tmp_path / "serving") == ["1", "2", "3"]


def test_a_version_whose_files_were_changed_does_not_count_as_served(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    push(tmp_path, model)
    (tmp_path / "serving/1/saved_model.pb").write_bytes(b"")
    push(tmp_path, model)
    assert seen(tmp_path / "serving") == ["1", "2"]


def push_in_process(folder: str, name: str, gate: Any) -> None:
    gate.wait()
    model = Path(folder) / name / "Format-Serving"
    publish(model, Path(folder) / "serving", PushRecord("", 0, "", model=name))


def test_concurrent_pushes_get_different_versions(tmp_path: Path) -> None:
    names = [f"model-{number}" for number in range(6)]
    for name in names:
        make_model(tmp_path / name, name.encode() * 10_000)
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(len(names))
    processes = [context.Process(target=push_in_process, args=(str(tmp_path), name, gate)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(names)
    found = versions(tmp_path / "serving")
    assert [version.number for version in found] == [1, 2, 3, 4, 5, 6]
    assert sorted(version.record.model for version in found if version.record) == names
    assert all(version.problem is None for version in found)
    for version in found:
        assert version.record is not None
        assert (version.path / "variables/variables.data-00000-of-00001").read_bytes() == version.record.model.encode() * 10_000


def killed_while_copying(folder: str) -> None:
    def kill(*_: object) -> None:
        os._exit(9)

    shutil.copyfile = kill
    publish(Path(folder) / "a/Format-Serving", Path(folder) / "serving", PushRecord("", 0, ""))


def test_a_push_killed_while_copying_leaves_nothing_visible_and_is_cleaned_up(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    process = multiprocessing.get_context("fork").Process(target=killed_while_copying, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert versions(tmp_path / "serving") == []
    assert [name.startswith(".incoming-") for name in seen(tmp_path / "serving")] == [True]
    push(tmp_path, model)
    assert seen(tmp_path / "serving") == ["1"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = make_model(tmp_path / "a")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        push(tmp_path, model)
    assert "Make room" in str(caught.value)
    assert seen(tmp_path / "serving") == []


def test_a_destination_that_is_a_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("")
    with pytest.raises(StorageError, match=str(tmp_path / "serving")):
        push(tmp_path, make_model(tmp_path / "a"))


@pytest.mark.parametrize("graph", [b"", b"\x08\x01", GRAPH[:-1], GRAPH + b"\x12"])
def test_a_model_that_is_cut_off_is_not_pushed(graph: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"saved_model.pb is missing, empty or cut off"):
        push(tmp_path, make_model(tmp_path / "a", graph=graph))
    assert not (tmp_path / "serving").exists()


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_a_model_without_all_of_its_variables_is_not_pushed(name: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    (model.path / "Format-Serving/variables" / name).unlink()
    model.digest = ""
    with pytest.raises(DataError, match="variables lacks"):
        push(tmp_path, model)


def test_a_model_whose_files_changed_after_training_is_not_pushed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    (model.path / "Format-Serving/variables/variables.data-00000-of-00001").write_bytes(b"WEIGHTS")
    with pytest.raises(DataError, match="have changed since it was trained"):
        push(tmp_path, model)


def test_keep_removes_the_oldest_versions(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        last = push(tmp_path, make_model(tmp_path / name, name.encode()), keep=2)
    assert seen(tmp_path / "serving") == ["2", "3"]
    assert last.context.verdict is not None
    assert last.context.verdict.reasons[-1] == "Removed old versions: 1."


def test_rollback_publishes_the_older_version_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        push(tmp_path, make_model(tmp_path / name, name.encode()))
    version = rollback(tmp_path / "serving", 1, "worse on Mondays")
    served = served_version(tmp_path / "serving")
    assert served == version
    assert version.number == 3
    assert version.record is not None
    assert (version.record.restored, version.record.reason) == (1, "worse on Mondays")
    assert (version.path / "variables/variables.data-00000-of-00001").read_bytes() == b"a"
    assert versions(tmp_path / "serving")[0].problem is None


def reasons(outputs: Outputs) -> tuple[str, tuple[str, ...]]:
    assert outputs.context.verdict is not None
    return outputs.context.verdict.kind, outputs.context.verdict.reasons


def test_a_model_that_was_rolled_back_is_not_pushed_again_unless_one_goes_back_to_it(tmp_path: Path) -> None:
    models = [make_model(tmp_path / name, name.encode()) for name in ("a", "b", "c", "d")]
    for model in models[:3]:
        push(tmp_path, model)
    rollback(tmp_path / "serving", 1, "worse on Mondays")
    for version, model in ((2, models[1]), (3, models[2])):
        kind, (why, how) = reasons(push(tmp_path, model))
        assert kind == "not pushed"
        assert why.startswith(f"This model was version {version} in serving and was rolled back at 20")
        assert why.endswith(": worse on Mondays")
        assert how == f"To serve it again, type: cauce models rollback serving {version} --reason '...'"
    assert reasons(push(tmp_path, models[0])) == ("pushed", ("Already served as version 4 in serving.", "No blessing was asked for."))
    assert reasons(push(tmp_path, models[3]))[0] == "pushed"
    rollback(tmp_path / "serving", 2, "it was the data")
    assert reasons(push(tmp_path, models[1])) == ("pushed", ("Already served as version 6 in serving.", "No blessing was asked for."))
    assert reasons(push(tmp_path, models[3]))[0] == "not pushed"
    assert reasons(push(tmp_path, models[0]))[0] == "not pushed"


def test_while_a_destination_is_pinned_only_the_served_model_may_be_pushed(tmp_path: Path) -> None:
    first, second = make_model(tmp_path / "a", b"a"), make_model(tmp_path / "b", b"b")
    push(tmp_path, first)
    made = pin(tmp_path / "serving", 1, "audit until Friday")
    refused = push(tmp_path, second)
    assert reasons(refused) == (
        "not pushed",
        (
            f"serving is pinned at version 1 since {made.since}: audit until Friday",
            "To let models through again, type: cauce models unpin serving --reason '...'",
        ),
    )
    assert not any(refused["pushed_model"].path.iterdir())
    assert reasons(push(tmp_path, first)) == ("pushed", ("Already served as version 1 in serving.", "No blessing was asked for."))
    with pytest.raises(UsageError, match=r"is pinned already, since .*: audit until Friday"):
        pin(tmp_path / "serving", 1, "again")
    assert unpin(tmp_path / "serving") == made
    with pytest.raises(UsageError, match="is not pinned"):
        unpin(tmp_path / "serving")
    assert reasons(push(tmp_path, second))[0] == "pushed"
    assert [version.number for version in versions(tmp_path / "serving")] == [1, 2]


def test_where_it_cannot_be_read_what_was_decided_nothing_is_pushed(tmp_path: Path) -> None:
    push(tmp_path, make_model(tmp_path / "a"))
    (tmp_path / "serving/.cauce.json").write_text('{"pin": ')
    with pytest.raises(StorageError, match=r"\.cauce\.json is damaged"):
        push(tmp_path, make_model(tmp_path / "b", b"b"))


def test_pins_and_rollbacks_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    for number in range(6):
        push(tmp_path, make_model(tmp_path / f"m{number}", str(number).encode()))
    digests = {version.number: version.record.digest for version in versions(tmp_path / "serving") if version.record}
    context = multiprocessing.get_context("fork")
    jobs = [(withdraw, ({number: digests[number]}, "bad"), {"but": digests[1]}) for number in range(2, 7)] + [(pin, (1, "x"), {})]
    processes = [context.Process(target=job, args=(tmp_path / "serving", *args), kwargs=more) for job, args, more in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    standing = standing_of(tmp_path / "serving")
    assert sorted(one.version for one in standing.withdrawn) == [2, 3, 4, 5, 6]
    assert standing.pin is not None


@pytest.mark.parametrize(("to", "message"), [(1, "is served already"), (9, "has no version 9. Known: 1")])
def test_rollback_to_no_older_version_is_refused(to: int, message: str, tmp_path: Path) -> None:
    push(tmp_path, make_model(tmp_path / "a"))
    with pytest.raises(UsageError, match=message):
        rollback(tmp_path / "serving", to, "")


def test_rollback_to_a_damaged_version_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        push(tmp_path, make_model(tmp_path / name, name.encode()))
    (tmp_path / "serving/1/saved_model.pb").unlink()
    with pytest.raises(StorageError, match="cannot go back to version 1: version 1 holds"):
        rollback(tmp_path / "serving", 1, "")


class Source(Component):
    def execute(self, context: Any, model: Output[Model]) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda serving: None, None),
        (lambda serving: shutil.rmtree(serving / "1"), "version 1 is no longer at"),
        (lambda serving: (serving / "1/saved_model.pb").write_bytes(b""), "version 1 holds"),
        (lambda serving: (serving / "1" / "assets.extra/cauce.json").unlink(), "version 1 has no record"),
    ],
)
def test_a_cached_push_is_reused_only_while_its_version_is_there(harm: Any, reason: str | None, tmp_path: Path) -> None:
    pushed = push(tmp_path, make_model(tmp_path / "a"))["pushed_model"]
    harm(tmp_path / "serving")
    node = Pusher(Source(), destination="serving")
    outputs: dict[str, tuple[Artifact, ...]] = {"pushed_model": (pushed,)}
    found = PushDriver().check_cached(node, outputs, tmp_path)
    assert found is None if reason is None else reason in (found or "")


def test_a_cached_push_to_another_place_is_not_reused(tmp_path: Path) -> None:
    pushed = push(tmp_path, make_model(tmp_path / "a"))["pushed_model"]
    node = Pusher(Source(), destination="serving")
    assert "not to" in (PushDriver().check_cached(node, {"pushed_model": (pushed,)}, tmp_path / "elsewhere") or "")


@pytest.mark.parametrize(("wrong", "message"), [({"keep": 0}, "'keep' expects"), ({"destination": ""}, "'destination' is empty")])
def test_parameters_are_checked_when_the_node_is_built(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Pusher(Source(), **({"destination": "serving"} | wrong))


def test_the_docstrings_examples_run(tmp_path: Path) -> None:
    example = (inspect.getdoc(Pusher) or "").partition("Example:\n")[2]

    class Evaluator(Component):
        def execute(self, context: Any, blessing: Output[ModelBlessing]) -> None:
            raise NotImplementedError

    names: dict[str, Any] = {"Pusher": Pusher, "trainer": Source(), "evaluator": Evaluator()}
    exec(textwrap.dedent(example), names)
    assert names["pusher"].parameters == {"destination": "serving/taxi", "keep": 5}
