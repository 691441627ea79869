"""The executor: one error boundary, and results that can be recorded."""

from __future__ import annotations

import errno
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from pipeline.component import Component, Input, Output
from pipeline.context import Context, Progress, RowCount, Verdict
from pipeline.errors import CauceError, DataError, ExecutionError, StorageError, UserCodeError
from pipeline.executor import Job, Result, execute, logging_to
from tests.fakes import Applying, Failing, NearDoubler, Numbers, write
from tests.project import Project


def job(kind: type[Component], folder: Path, **parameters: Any) -> Job:
    """Returns a job on the numbers 1, 2, 3."""
    inputs = folder / "input"
    inputs.mkdir(exist_ok=True)
    write(Numbers(inputs), [1, 2, 3])
    (output,) = (name for name in ("doubled", "result", "applied", "made") if name in kind.execute.__annotations__)
    context = Context("p", "r", "node", 1, folder, folder, folder / "staging" / ".temp", folder / "state")
    return Job(kind, {"numbers": Numbers(inputs)}, {output: Numbers(folder / "staging" / output)}, parameters, context)


def run(kind: type[Component], folder: Path, **parameters: Any) -> Result:
    return execute(job(kind, folder, **parameters), lambda progress: None)


def failure(result: Result) -> CauceError:
    assert result.error is not None
    return result.error


class Noting(Component):
    """Tells everything that can be told, in NumPy's way."""

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers]) -> None:
        context.note(loss=Scalar(0.5), rows=Scalar(7), flag=True, text="x")
        context.decide("valid", "one reason", blocks=Scalar(0).item())
        context.count_rows(Scalar(3), {"train": Scalar(2)}, {"damaged": 1})
        made.properties.update({"loss": Scalar(0.25), "flag": False})  # type: ignore[dict-item]
        made.set_splits(["train"])


class Scalar:
    """A number as NumPy has them: no `int`, but one inside."""

    ndim = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value

    def __int__(self) -> int:
        return int(self.value)


class Raising(Component):
    """Raises what it is given."""

    def execute(self, context: Any, numbers: Input[Numbers], made: Output[Numbers], *, error: Any) -> None:
        (context.temp / "half").touch()
        raise error


def test_result_carries_properties_verdict_rows_and_notes(tmp_path: Path) -> None:
    heard: list[Progress] = []
    result = execute(job(NearDoubler, tmp_path, factor=4), heard.append)
    assert result.error is None
    assert heard == [Progress("doubling", 3, {})]
    assert (tmp_path / "staging" / "doubled" / "numbers.json").read_text() == "[4, 8, 12]"
    assert result.rows == RowCount(3, {"all": 3})


def test_numbers_of_other_libraries_become_plain_ones(tmp_path: Path) -> None:
    result = run(Noting, tmp_path)
    assert result.notes == {"loss": 0.5, "rows": 7, "flag": 1, "text": "x"}
    assert result.properties == {"made": {"loss": 0.25, "flag": 0, "split_names": '["train"]'}}
    assert result.verdict == Verdict("valid", ("one reason",), False)
    assert result.rows == RowCount(3, {"train": 2}, {"damaged": 1})
    assert result.rows.missing == 0
    assert pickle.loads(pickle.dumps(result)) == result


def test_temporary_folder_is_gone_afterwards_and_state_is_not(tmp_path: Path) -> None:
    failure(run(Raising, tmp_path, error=ValueError("x")))
    assert not (tmp_path / "staging" / ".temp").exists()
    assert (tmp_path / "state").is_dir()


def test_what_an_earlier_attempt_has_written_is_gone(tmp_path: Path) -> None:
    stale = tmp_path / "staging" / "doubled" / "half"
    stale.parent.mkdir(parents=True)
    stale.touch()
    run(NearDoubler, tmp_path, factor=1)
    assert [file.name for file in stale.parent.iterdir()] == ["numbers.json"]


def test_user_function_that_raises_is_named_with_file_line_and_function(project: Project) -> None:
    project.write("rules_broken.py", "def helper(values):\n    return values[9]\n\ndef apply(values):\n    return helper(values)\n")
    error = failure(run(Applying, project.folder, function="rules_broken"))
    assert isinstance(error, UserCodeError)
    assert str(error) == "Node 'node': rules_broken.py:2 helper raised IndexError: list index out of range"


def test_library_that_raises_below_user_code_is_blamed_on_the_users_line(project: Project) -> None:
    project.write("rules_json.py", "import json\n\ndef apply(values):\n    return json.loads('{')\n")
    assert "rules_json.py:4 apply raised JSONDecodeError: Expecting" in str(failure(run(Applying, project.folder, function="rules_json")))


def test_component_that_raises_is_named_by_its_node(tmp_path: Path) -> None:
    error = failure(run(Failing, tmp_path, how="raise", marker=""))
    assert isinstance(error, ExecutionError)
    assert str(error) == "Node 'node' failed: ValueError: as it was told"


def test_sys_exit_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    assert str(failure(run(Failing, tmp_path, how="leave", marker=""))) == "Node 'node' failed: SystemExit: 3"


def test_error_of_ours_keeps_class_message_and_hint(tmp_path: Path) -> None:
    error = failure(run(Raising, tmp_path, error=DataError("line 3 is wrong", hint="Mend it.")))
    assert type(error) is DataError
    assert str(error) == "line 3 is wrong\nMend it."


def test_error_of_an_unknown_class_travels_as_the_nearest_one_of_ours(tmp_path: Path) -> None:
    error = failure(run(Failing, tmp_path, how="unknown error", marker=""))
    assert type(error) is DataError
    assert str(error) == "only I know this"
    pickle.dumps(error)


def test_property_that_cannot_be_recorded_is_refused_by_name(tmp_path: Path) -> None:
    assert str(failure(run(Failing, tmp_path, how="property", marker=""))).startswith(
        "Node 'node': property 'model' of output 'result' must be an integer below 2**53, a float or a text. Received: <object object at"
    )


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device", "/data/x"), RuntimeError("UNKNOWN: No space left on device")]
)
def test_full_disk_is_said_in_these_words_with_the_way_out(tmp_path: Path, error: Exception) -> None:
    raised = failure(run(Raising, tmp_path, error=error))
    assert isinstance(raised, StorageError)
    assert str(raised).startswith("Node 'node': the disk is full (")
    assert "then: cauce resume" in str(raised)


def test_whole_traceback_goes_to_the_log_and_nowhere_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with logging_to(logging.getLogger("cauce.node"), tmp_path / "logs" / "node.log"):
        run(Failing, tmp_path, how="raise", marker="")
    text = (tmp_path / "logs" / "node.log").read_text()
    assert "ERROR cauce.node: Traceback (most recent call last):" in text
    assert "raise ValueError" in text
    assert caplog.records == []
