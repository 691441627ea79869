"""A disk that is full, for real: the root lies on a file system of a few megabytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import MetadataError, StorageError
from pipeline.records import ExecutionState, RunState
from pipeline.recovery import recover
from tests.disks import small_disk
from tests.fakes import Failing, NearFailing, Source
from tests.project import Project


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Project]:
    """A project whose root holds 4 MB."""
    project = Project(tmp_path)
    with small_disk(project.root, "4m"):
        yield project


@pytest.mark.parametrize("kind", [Failing, NearFailing])
def test_full_disk_fails_the_node_leaves_nothing_and_is_resumed_when_there_is_room(small: Project, kind: type[Failing]) -> None:
    marker = small.folder / "marker"
    node = kind(Source(), how="fill", marker=str(marker))
    ran = small.run(node)
    error = ran.result[kind.__name__].error
    assert isinstance(error, StorageError)
    assert f"Node '{kind.__name__}': the disk is full" in str(error)
    assert "Make room (cauce gc shows what can go), then: cauce resume" in str(error)
    assert [folder.parent.parent.name for folder in small.published()] == ["Source"]
    assert list((small.root / "staging").iterdir()) == []
    assert small.executions(ran.result.run)[kind.__name__].state is ExecutionState.FAILED
    again = small.run(node, resume=ran.result.run)
    assert again.states == {"Source": "done", kind.__name__: "done"}


def test_disk_too_full_for_the_store_ends_the_run_and_the_next_command_puts_it_right(small: Project) -> None:
    first = small.run(Source())
    with pytest.raises(MetadataError, match=r"The metadata store .* failed: .*full"):
        small.run(NearFailing(Source(), how="fill state"))
    shutil.rmtree(small.root / "state")
    (interrupted,) = recover(small.store, small.storage)
    runs = small.store.runs()
    assert [run.state for run in runs] == [RunState.DONE, RunState.INTERRUPTED]
    states = {execution.node: execution.state for execution in small.store.executions_of_run(interrupted.id)}
    assert states == {"Source": ExecutionState.CACHED, "NearFailing": ExecutionState.FAILED}
    assert small.run(Source()).reasons("Source") == (f"nothing changed since run {first.result.run}",)
