"""Checkpoints: one file with everything that a killed training needs to go on as if nothing had happened.

In it are all variables of the model (random seeds among them), of the optimizer and of the metrics, the best weights so far, the
step (from which the place in the data follows), the random state of Python and NumPy, and what each listener must know.
"""

from __future__ import annotations

import json
import os
import random
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment
from components.trainer.options import Checkpoints
from components.trainer.stopping import EarlyStopping
from pipeline.errors import DataError

if TYPE_CHECKING:
    import keras

CHECKPOINT_FILE = "checkpoint.npz"
_STATE, _VARIABLE, _BEST = "state", "variable", "best"


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        step: Training steps done.
        listeners: The state of each listener, by name.
        variables: The values of all variables, in the order of `all_variables`.
        best: The best weights; empty without early stopping.
        random: The random state of Python and NumPy.
        resumed_at: The steps at which training has gone on before.
    """

    step: int
    listeners: Mapping[str, Any]
    variables: Sequence[Any]
    best: Sequence[Any]
    random: Mapping[str, Any]
    resumed_at: tuple[int, ...]


class Checkpointer(Listener):
    """Writes a checkpoint now and then; it must be the last of the listeners, so that it keeps what the others have made of a round.

    Args:
        folder: Where the checkpoint lies.
        when: How often to write one.
        steps_per_round: Training steps between two evaluations.
        listeners: The listeners whose state is kept, by name.
    """

    def __init__(self, folder: Path, when: Checkpoints, steps_per_round: int, listeners: Mapping[str, Listener]) -> None:
        self._file = folder / CHECKPOINT_FILE
        self._when = when
        self._steps_per_round = steps_per_round
        self._listeners = listeners
        self._stopping = next((listener for listener in listeners.values() if isinstance(listener, EarlyStopping)), None)
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._resumed_at: tuple[int, ...] = ()

    def steps_done(self, moment: Moment) -> None:
        """Saves every so many steps; at the end of a round only once it is evaluated."""
        every = self._when.every_steps
        if every is not None and moment.step % self._steps_per_round and moment.step // every > self._saved_step // every:
            self._save(moment)

    def round_done(self, moment: Moment) -> None:
        """Saves at the end of a round, where the last time is long enough ago."""
        every = self._when.every_steps
        due = moment.step // every > self._saved_step // every if every else time.monotonic() - self._saved_at >= self._when.seconds
        if due:
            self._save(moment)

    def _save(self, moment: Moment) -> None:
        import numpy as np

        sync(moment.model)
        state = {
            "step": moment.step,
            "listeners": {name: listener.state() for name, listener in self._listeners.items()},
            "random": _random_state(),
            "resumed_at": self._resumed_at,
        }
        arrays = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}
        arrays |= _numbered(_VARIABLE, [copied(variable) for variable in all_variables(moment.model)])
        arrays |= _numbered(_BEST, (self._stopping.weights if self._stopping is not None else None) or ())
        unfinished = self._file.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)
        self._saved_at, self._saved_step = time.monotonic(), moment.step

    def load(self) -> Saved | None:
        """Returns the checkpoint and gives the listeners their state; None if there is no checkpoint.

        Raises:
            DataError: If the file is damaged.
        """
        import numpy as np

        if not self._file.is_file():
            return None
        try:
            with np.load(self._file, allow_pickle=False) as arrays:
                state = json.loads(arrays[_STATE].tobytes())
                variables, best = ([arrays[name] for name in sorted(arrays.files) if name.startswith(kind)] for kind in (_VARIABLE, _BEST))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"The checkpoint {self._file} is damaged: {error}", hint="Remove it; training then begins anew.") from error
        for name, listener in self._listeners.items():
            listener.restore(state["listeners"][name])
        if self._stopping is not None and best:
            self._stopping.weights = best
        self._saved_step = int(state["step"])
        before = tuple(state["resumed_at"])
        self._resumed_at = (*before, self._saved_step)
        return Saved(self._saved_step, state["listeners"], variables, best, state["random"], before)


def all_variables(model: keras.Model) -> list[Any]:
    """Returns the variables of model, optimizer and metrics, and the seed of random operations that have none of their own."""
    from keras.src.random.seed_generator import global_seed_generator

    found = [*model.variables, *model.optimizer.variables, *model.metrics_variables, global_seed_generator().state]
    return list({id(variable): variable for variable in found}.values())


def sync(model: keras.Model) -> None:
    """Brings the model's variables up to date in the middle of a round; with TensorFlow they always are."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def restore(model: keras.Model, saved: Saved) -> None:
    """Gives a built model, its optimizer and its metrics the values of a checkpoint, and Python and NumPy their random state.

    Raises:
        DataError: If the checkpoint is of another model.
    """
    import numpy as np

    variables = all_variables(model)
    shapes, kept = ([tuple(item.shape) for item in items] for items in (variables, saved.variables))
    if shapes != kept:
        raise DataError(
            f"The checkpoint has {len(kept)} variables, the model {len(shapes)}, or their shapes differ.",
            hint="build_model must build the same layers each time.",
        )
    for variable, value in zip(variables, saved.variables, strict=True):
        variable.assign(value)
    version, numbers, gauss = saved.random["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = saved.random["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))


def _random_state() -> dict[str, Any]:
    import numpy as np

    state: Any = np.random.get_state()
    name, keys, *rest = state
    return {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest]}


def copied(variable: Any) -> Any:
    """Returns the value of a variable as an array of its own: JAX gives memory away that NumPy would only look at."""
    import keras
    import numpy as np

    return np.array(keras.ops.convert_to_numpy(variable))


def _numbered(kind: str, arrays: Sequence[Any]) -> dict[str, Any]:
    return {f"{kind}{index:06d}": array for index, array in enumerate(arrays)}
