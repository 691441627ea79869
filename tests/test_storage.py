"""The root folder: files become visible by rename, disappear by rename, and belong to one run."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from pipeline.artifacts import ArtifactState
from pipeline.errors import MetadataError, StorageError, UsageError
from pipeline.hashing import extent
from pipeline.storage import Storage, check_payload, damage
from tests.fakes import Numbers, write


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A new root."""
    return Storage(tmp_path / "root")


def published(folder: Path) -> Numbers:
    folder.mkdir(parents=True)
    artifact = Numbers(folder, state=ArtifactState.LIVE)
    write(artifact, [1, 2, 3])
    artifact.size, artifact.files = extent(folder)
    return artifact


def test_root_of_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cauce.json").write_text(json.dumps({"layout": 2}))
    with pytest.raises(MetadataError, match=r"has layout 2; this version of cauce knows layout 1\.\nInstall a newer cauce"):
        Storage(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["cauce.json"]


def test_root_that_is_damaged_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cauce.json").write_text("{")
    with pytest.raises(StorageError, match=r"cannot be used: .*\nName another one with --root or CAUCE_ROOT"):
        Storage(tmp_path)
    with pytest.raises(StorageError, match="Not a directory"):
        Storage(tmp_path / "cauce.json" / "root")


def test_looking_at_a_root_makes_none(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "root", create=False)
    assert storage.kept_code("ab") is None
    assert list(tmp_path.iterdir()) == []


def test_many_threads_that_open_one_new_root_agree(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def open_root() -> None:
        try:
            Storage(tmp_path / "root")
        except Exception as error:  # noqa: BLE001 - collected for the assertion
            errors.append(error)

    threads = [threading.Thread(target=open_root) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [file.name for file in (tmp_path / "root").iterdir()] == ["cauce.json"]


def test_commit_makes_a_payload_visible_as_a_whole(storage: Storage) -> None:
    staged = storage.staging("r", 1) / "numbers"
    published(staged)
    final = storage.final("p", "Source", "numbers", "r", 1)
    storage.commit(staged, final)
    assert (final / "numbers.json").read_text() == "[1, 2, 3]"
    assert not staged.exists()


def test_commit_never_replaces_what_is_published(storage: Storage) -> None:
    final = storage.final("p", "Source", "numbers", "r", 1)
    published(final)
    published(storage.staging("r", 1) / "numbers")
    with pytest.raises(StorageError, match="cannot be published as"):
        storage.commit(storage.staging("r", 1) / "numbers", final)
    assert (final / "numbers.json").exists()


def test_executions_of_one_number_in_two_stores_do_not_meet(storage: Storage) -> None:
    assert storage.final("p", "n", "o", "run1", 1) != storage.final("p", "n", "o", "run2", 1)
    assert storage.staging("run1", 1) != storage.staging("run2", 1)


def test_what_was_never_recorded_is_removed_with_its_staging_and_nothing_else(storage: Storage) -> None:
    mine = [storage.final("p", "n", output, "r", 7) for output in ("first", "second")]
    others = [storage.final("p", "n", "first", "r", 8), storage.final("p", "n", "first", "s", 7), storage.final("p", "m", "first", "r", 7)]
    for folder in (*mine, *others, storage.staging("r", 7) / "third"):
        published(folder)
    storage.discard_unpublished("p", "n", "r", 7)
    assert not any(folder.exists() for folder in (*mine, storage.staging("r", 7)))
    assert all(folder.exists() for folder in others)


def test_removed_folder_is_gone_and_so_is_what_a_killed_process_left_of_one(storage: Storage) -> None:
    folder = storage.final("p", "n", "o", "r", 1)
    published(folder)
    storage.remove(folder)
    storage.remove(folder)
    assert not folder.exists()
    published(storage.root / "staging" / ".trash-half")
    storage.empty_trash()
    assert list((storage.root / "staging").iterdir()) == []


def test_user_code_is_kept_once_by_its_digest_also_by_threads_at_once(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "features.py"
    file.write_text("x = 1\n")
    barrier = threading.Barrier(8)
    kept: list[str] = []

    def keep() -> None:
        barrier.wait()
        kept.append(storage.keep_code(file))

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 8
    assert len(set(kept)) == 1
    assert [path.name for path in (storage.root / "code").iterdir()] == [f"{kept[0]}.py"]
    assert storage.kept_code(kept[0]) == "x = 1\n"


def test_damage_is_seen_by_presence_and_size(storage: Storage) -> None:
    artifact = published(storage.final("p", "n", "o", "r", 1))
    assert damage(artifact) is None
    (artifact.path / "numbers.json").write_text("[1]")
    assert damage(artifact) == f"{artifact.path} has 3 bytes, and 9 were published"
    storage.remove(artifact.path)
    assert damage(artifact) == f"{artifact.path} is missing"


def test_empty_payload_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"Output 'numbers' \(FakeNumbers\) is empty: its executor wrote no file into it"):
        check_payload(Numbers(tmp_path), "numbers")
    write(Numbers(tmp_path), [1])
    check_payload(Numbers(tmp_path), "numbers")


def hold(root: Path, held: object, release: object) -> None:
    with Storage(root).run_lock("r"):
        held.set()  # type: ignore[attr-defined]
        release.wait(20)  # type: ignore[attr-defined]


def test_run_belongs_to_one_process_and_is_free_when_it_is_gone(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.storage._LOCK_TRIES", 2)
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(storage.root, held, release))
    process.start()
    assert held.wait(20)
    with storage.vacant("r") as vacant:
        assert not vacant
    with storage.vacant("other") as vacant:
        assert vacant
    with pytest.raises(UsageError, match=r"Run r is going on in another process\.\nSee it: cauce runs show r"), storage.run_lock("r"):
        pass
    process.kill()
    process.join()
    with storage.vacant("r") as vacant:
        assert vacant


def test_a_look_at_a_run_does_not_keep_it_from_starting(storage: Storage) -> None:
    looking = storage.vacant("r")
    assert looking.__enter__()
    timer = threading.Timer(0.1, lambda: looking.__exit__(None, None, None))
    timer.start()
    with storage.run_lock("r"):
        timer.join()
