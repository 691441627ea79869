"""What may go and what is kept, and removing it, also after a crash."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.artifacts import Artifact, ArtifactState, Model, ModelBlessing, PushedModel
from pipeline.component import Component, Input, Output
from pipeline.errors import UsageError
from pipeline.garbage import UNNEEDED, Garbage, find_garbage, remove_garbage
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, RunState
from tests.fakes import Failing, Numbers, Source
from tests.light import Halver, Parting
from tests.project import Project


class Training(Component):
    """Makes a model of numbers."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], model: Output[Model]) -> None:  # type: ignore[no-untyped-def]
        (model.path / "weights").write_text((numbers.path / "numbers.json").read_text())


class Judging(Component):
    """Blesses a model or not."""

    isolated = False

    def execute(self, context, model: Input[Model], blessing: Output[ModelBlessing], *, blessed: bool) -> None:  # type: ignore[no-untyped-def]
        (blessing.path / "verdict").write_text(str(blessed))
        blessing.properties |= {"blessed": int(blessed), "current_model_id": model.id}


class Pushing(Component):
    """Pushes a model."""

    isolated = False

    def execute(self, context, model: Input[Model], pushed: Output[PushedModel]) -> None:  # type: ignore[no-untyped-def]
        (pushed.path / "weights").write_text("pushed")


def find(project: Project, **options: float | None) -> Garbage:
    return find_garbage(project.store, project.storage, **options)  # type: ignore[arg-type]


def clean(project: Project, **options: float | None) -> Garbage:
    garbage = find(project, **options)
    remove_garbage(garbage, project.store, project.storage)
    return garbage


def numbers(garbage: Garbage) -> tuple[list[int], list[int]]:
    """Returns the numbers of the artifacts that go, and of those that stay."""
    return [judged.artifact.id or 0 for judged in garbage.remove], [judged.artifact.id or 0 for judged in garbage.keep]


def reasons(garbage: Garbage) -> dict[str, str]:
    return {f"{judged.artifact.type_name} {judged.artifact.id}": judged.reason for judged in garbage.keep}


def paths(garbage: Garbage, project: Project) -> dict[str, str]:
    return {found.path.relative_to(project.root).as_posix(): found.reason for found in garbage.leftovers}


def live(project: Project) -> list[int]:
    return [artifact.id or 0 for artifact in project.store.all_artifacts() if artifact.state is ArtifactState.LIVE]


def test_what_only_older_runs_made_goes_and_files_go_with_it(project: Project) -> None:
    runs = [project.run(Halver(Source(values=(number,)))).result.run for number in range(3)]
    garbage = find(project, keep=2)
    assert numbers(garbage) == ([1, 2], [3, 4, 5, 6])
    assert {judged.reason for judged in garbage.remove} == {UNNEEDED}
    assert reasons(garbage)["FakeNumbers 4"] == f"run {runs[1]} is one of the last of 'fake'"
    assert len(project.published()) == 6
    remove_garbage(garbage, project.store, project.storage)
    assert live(project) == [3, 4, 5, 6]
    assert [path.exists() for path in (artifact.path for artifact in project.store.all_artifacts())] == [False] * 2 + [True] * 4


def test_what_a_kept_run_reused_is_kept_although_an_older_one_made_it(project: Project) -> None:
    project.run(Halver(Source()))
    project.run(Halver(Source(), steps=2))
    assert numbers(find(project, keep=1)) == ([2], [1, 3])


def test_each_pipeline_keeps_its_own_runs(project: Project) -> None:
    for name in ("one", "two"):
        for number in range(2):
            project.run(Source(values=(number, len(name + name[0] * (name == "two")))), name=name)
    assert numbers(find(project, keep=1)) == ([1, 3], [2, 4])


def test_runs_that_failed_since_are_kept_and_do_not_count(project: Project) -> None:
    project.run(Source(values=(1,)))
    project.run(Source(values=(2,)))
    project.run(Failing(Source(values=(3,))))
    assert numbers(find(project, keep=1)) == ([1], [2, 3])


def test_younger_runs_than_asked_for_are_kept(project: Project) -> None:
    old, _ = (project.run(Source(values=(number,))).result.run for number in range(2))
    project.store.update_run(old, {"ended": int((time.time() - 3 * 24 * 3600) * 1000)})
    assert numbers(find(project, keep=0, older_than=2)) == ([1], [2])
    assert reasons(find(project, keep=0, older_than=4))["FakeNumbers 1"] == f"run {old} is younger than 4 days"
    assert numbers(find(project, keep=0)) == ([1, 2], [])


def test_a_blessed_model_is_kept_with_all_that_it_was_made_from(project: Project) -> None:
    project.run(Judging(Training(Source(values=(1,))), blessed=True))
    project.run(Judging(Training(Source(values=(2,))), blessed=False))
    garbage = find(project, keep=0)
    assert numbers(garbage) == ([4, 5, 6], [1, 2, 3])
    assert reasons(garbage) == {"FakeNumbers 1": "Model 2 was made from it", "Model 2": "a blessed model", "ModelBlessing 3": "a blessing"}


def test_a_pushed_model_is_kept_with_all_that_it_was_made_from(project: Project) -> None:
    project.run(Pushing(Training(Source())))
    project.run(Training(Source(values=(9,))), name="other")
    garbage = find(project, keep=0)
    assert numbers(garbage) == ([4, 5], [1, 2, 3])
    assert reasons(garbage) == {
        "FakeNumbers 1": "Model 2 was made from it",
        "Model 2": "PushedModel 3 was made from it",
        "PushedModel 3": "a pushed model",
    }


def test_what_was_made_together_with_a_kept_artifact_is_kept_so_that_the_cache_can_reuse_both(project: Project) -> None:
    parted = Parting(Source(values=(1, 20)))
    project.run(Pushing(Training(parted.outputs["small"])))
    garbage = find(project, keep=0)
    assert numbers(garbage)[0] == []
    assert reasons(garbage)["FakeNumbers 3"] == "it was made together with FakeNumbers 2"


def test_a_run_that_goes_on_keeps_its_artifacts_and_nothing_is_removed_meanwhile(project: Project) -> None:
    run = project.run(Source()).result.run
    store = project.store
    store.update_run(run, {"state": RunState.RUNNING.value})
    garbage = find(project, keep=0)
    assert reasons(garbage) == {"FakeNumbers 1": f"run {run} goes on"}
    with pytest.raises(UsageError, match=f"Run {run} of 'fake' goes on, and may be about to reuse what would go"):
        remove_garbage(garbage, store, project.storage)
    assert paths(garbage, project) == {}


def test_what_was_removed_is_made_again_when_it_is_needed(project: Project) -> None:
    project.run(Halver(Source()))
    clean(project, keep=0)
    again = project.run(Halver(Source()))
    assert again.states == {"Source": "done", "Halver": "done"}
    assert again.reasons("Source") == ("its cached output 'numbers' was removed (DELETED)",)


class Dying(MetadataStore):
    """A store whose process dies when it is to record what was removed."""

    def update_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        raise KeyboardInterrupt


def test_a_removal_that_was_killed_before_the_record_is_finished_by_the_next(project: Project) -> None:
    project.run(Halver(Source()))
    with pytest.raises(KeyboardInterrupt):
        remove_garbage(find(project, keep=0), Dying(project.url), project.storage)
    assert (project.published(), live(project)) == ([], [1, 2])
    assert numbers(clean(project, keep=0)) == ([1, 2], [])
    assert live(project) == []
    assert numbers(find(project, keep=0)) == ([], [])


def test_files_of_a_removed_artifact_are_leftovers(project: Project) -> None:
    project.run(Source())
    store = project.store
    (artifact,) = store.all_artifacts()
    artifact.state = ArtifactState.DELETED
    store.update_artifacts([artifact])
    garbage = clean(project)
    assert "its artifact was removed" in paths(garbage, project).values()
    assert project.published() == []


def test_payloads_that_were_never_recorded_go_but_not_those_of_another_store(project: Project) -> None:
    run = project.run(Source()).result.run
    (kept,) = project.published()
    orphan, foreign = (kept.with_name(f"{name}.99") for name in (run, "20200101-000000-other"))
    for folder in (orphan, foreign):
        folder.mkdir()
        (folder / "numbers.json").write_text("[1]")
    garbage = clean(project)
    assert paths(garbage, project)[orphan.relative_to(project.root).as_posix()] == "no artifact was recorded for it"
    assert garbage.size >= 3
    assert project.published() == sorted([kept, foreign])


def test_staging_trash_state_logs_and_locks_of_runs_that_are_over_go(project: Project) -> None:
    old = project.run(Halver(Source(values=(1,)))).result.run
    stopped = project.run(Failing(Source(values=(2,)))).result.run
    new = project.run(Halver(Source(values=(3,)))).result.run
    for name in (
        f"staging/{old}.1/x",
        f"staging/{new}.3/x",
        "staging/.trash-1/x",
        "staging/foreign.1/x",
        f"state/{old}/a/x",
        f"state/{new}/a/x",
        f"state/{stopped}/a/x",
    ):
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).write_text("x")
    found = paths(find(project, keep=1), project)
    assert found == {
        f"staging/{old}.1": "its execution is over",
        f"staging/{new}.3": "its execution is over",
        "staging/.trash-1": "its execution is over",
        f"state/{old}": "its run is over",
        f"state/{new}": "its run is over",
        f"state/{stopped}": "its run is over",
        f"logs/{old}": "its run is not kept",
        f"logs/{stopped}": "its run is not kept",
        f"locks/{old}.lock": "its run is not kept",
        f"locks/{stopped}.lock": "its run is not kept",
    }
    clean(project, keep=1)
    assert sorted(path.name for path in (project.root / "staging").iterdir()) == ["foreign.1"]
    assert [path.name for path in (project.root / "logs").iterdir()] == [new]
    assert find(project, keep=1).leftovers == ()


def test_the_state_of_a_kept_run_that_can_be_resumed_stays(project: Project) -> None:
    run = project.run(Failing(Source())).result.run
    state = project.root / "state" / run / "checkpoint"
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text("x")
    clean(project)
    assert state.exists()


def test_the_logs_of_a_run_stay_as_long_as_something_that_it_made(project: Project) -> None:
    run = project.run(Pushing(Training(Source()))).result.run
    clean(project, keep=0)
    assert (project.root / "logs" / run / "Training.log").is_file()


def test_files_outside_of_the_root_are_never_touched(project: Project) -> None:
    store = project.store
    store.begin_run("fake", "old", {"started": 1})
    store.update_run("old", {"state": RunState.DONE.value, "ended": 2})
    project.run(Source())
    inside = project.root / "artifacts"
    for number, path in enumerate((project.folder / "mine", inside, inside / "fake", inside / "fake" / ".." / ".." / ".." / "mine")):
        path.mkdir(parents=True, exist_ok=True)
        artifact = Numbers(path, name=str(number), state=ArtifactState.LIVE)
        store.publish(store.register("fake", "old", "n", "tests.N", {}, {}), ExecutionState.COMPLETE, {}, {"out": [artifact]})
    garbage = clean(project, keep=0)
    assert numbers(garbage) == ([1], [])
    assert (project.folder / "mine").is_dir()


def test_nothing_was_made_yet_so_nothing_goes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert find(project) == Garbage((), (), ())
