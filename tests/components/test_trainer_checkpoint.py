"""A training that was killed goes on where it was, and ends as one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.trainer import Checkpoints, LearningRate
from components.trainer.checkpoint import CHECKPOINT_FILE, Checkpointer
from components.trainer.history import History
from components.trainer.moment import Moment, Plan
from components.trainer.stopping import EarlyStopping, Improvement
from pipeline.errors import DataError
from tests.components.pictures import CNN, pictures

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]
KILLING = CNN.replace(
    "def build_model(context):\n",
    """def build_model(context):
    checkpoint = context.custom_config["kill_at"]
    if checkpoint:
        threading.Thread(target=kill_when_there, args=(checkpoint,), daemon=True).start()
""",
).replace(
    "import tensorflow as tf\n",
    """import os
import signal
import threading
import time
import tensorflow as tf


def kill_when_there(file):
    while not os.path.exists(file):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
""",
)
PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from components.trainer import Checkpoints, LearningRate, Trainer, Watch
from pipeline.artifacts import Examples, TransformGraph
from tests.components.weather import module
from tests.harness import run

folder, examples, graph, source = map(Path, sys.argv[1:5])
state, kill = Path(sys.argv[5]), sys.argv[6]
artifact = Examples(examples)
artifact.set_splits(["train", "eval"])
outputs = run(
    Trainer, folder, inputs={"examples": [artifact], "transform_graph": TransformGraph(graph)}, state=state,
    module=module(folder, source.read_text()), label="side", epochs=4, batch_size=16, seed=3, deterministic=True,
    learning_rate=LearningRate(0.01, schedule="cosine", warmup_steps=5), ema=0.9, gradient_clipping=1.0, accumulation_steps=2,
    early_stopping_patience=3, class_weights="balanced", checkpoints=Checkpoints(every_steps=3), watch=Watch(every_steps=8),
    custom_config={"kill_at": str(state / "checkpoint.npz") if kill == "kill" else ""},
)
import tensorflow as tf
saved = tf.saved_model.load(str(outputs["model"].path / "Format-Serving"))
np.savez(folder / "weights.npz", *[variable.numpy() for variable in saved.variables_])
(folder / "summary.json").write_text(json.dumps(outputs["model_run"].summary()))
"""


def trained_elsewhere(folder: Path, given: dict[str, Any], state: Path, *, kill: bool) -> subprocess.CompletedProcess[str]:
    """Trains in a process of its own."""
    folder.mkdir(exist_ok=True)
    source = folder / "source.txt"
    source.write_text(KILLING)
    arguments = [folder, given["raw"].path, given["graph"].path, source, state, "kill" if kill else "live"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_killed_training_goes_on_in_mid_epoch_and_ends_with_the_weights_of_one_never_killed(tmp_path: Path) -> None:
    given = pictures(tmp_path)
    state = tmp_path / "state"
    killed = trained_elsewhere(tmp_path / "killed", given, state, kill=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (state / CHECKPOINT_FILE).is_file()
    for name, place in (("resumed", state), ("whole", tmp_path / "other")):
        done = trained_elsewhere(tmp_path / name, given, place, kill=False)
        assert done.returncode == 0, done.stderr
    resumed, whole = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("resumed", "whole"))
    (at,) = resumed["resumed_at"]
    assert at % 8 != 0, "it was killed between two epochs"
    assert whole["resumed_at"] == []
    slow_input = next(rule for rule in whole["watch"]["rules"] if rule["rule"] == "slow_input")
    assert slow_input["reason"] == "deterministic training makes no batch ahead"
    assert resumed["history"] == whole["history"]
    assert resumed["curves"] == whole["curves"]
    with np.load(tmp_path / "resumed" / "weights.npz") as one, np.load(tmp_path / "whole" / "weights.npz") as two:
        assert len(one.files) == len(two.files) > 5
        assert all(np.array_equal(one[name], two[name]) for name in one.files)


def model() -> Any:
    import keras

    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dropout(0.5)])
    made.compile(optimizer="adam", loss="mse")
    made.optimizer.build(made.trainable_variables)
    return made


def test_checkpoints_come_every_so_many_steps_and_after_an_evaluation(tmp_path: Path) -> None:
    history = History(Plan(2, 10, 1))
    checkpointer = Checkpointer(tmp_path, Checkpoints(every_steps=4), 10, {"history": history})
    trained, saved = model(), []
    for step in range(1, 21):
        moment = Moment(step, (step - 1) // 10, {"loss": 1.0}, trained)
        checkpointer.steps_done(moment)
        if step % 10 == 0:
            checkpointer.round_done(moment)
        found = Checkpointer(tmp_path, Checkpoints(), 10, {"history": History(Plan(2, 10, 1))}).load()
        saved.append(found.step if found else 0)
    assert sorted(set(saved)) == [0, 4, 8, 12, 16, 20]


def test_short_rounds_are_not_slowed_down_by_checkpoints(tmp_path: Path) -> None:
    checkpointer = Checkpointer(tmp_path, Checkpoints(), 10, {})
    checkpointer.round_done(Moment(10, 0, {}, model()))
    assert checkpointer.load() is None
    eager = Checkpointer(tmp_path, Checkpoints(seconds=0), 10, {})
    eager.round_done(Moment(10, 0, {}, model()))
    loaded = eager.load()
    assert loaded is not None
    assert loaded.step == 10


def test_best_weights_and_patience_are_kept(tmp_path: Path) -> None:
    def stopping() -> EarlyStopping:
        return EarlyStopping(Improvement("val_loss"), 3, lambda made: [variable.numpy() for variable in made.variables])

    before, trained = stopping(), model()
    for number, loss in enumerate([0.5, 0.4, 0.6]):
        before.round_done(Moment(10 * number + 10, number, {"val_loss": loss}, trained))
    Checkpointer(tmp_path, Checkpoints(seconds=0), 10, {"early_stopping": before}).round_done(Moment(30, 2, {}, trained))
    after = stopping()
    assert Checkpointer(tmp_path, Checkpoints(), 10, {"early_stopping": after}).load() is not None
    assert after.best_round == 2
    assert after.weights is not None
    assert all(np.array_equal(one, two) for one, two in zip(after.weights, before.weights or (), strict=True))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    Checkpointer(tmp_path, Checkpoints(seconds=0), 10, {}).round_done(Moment(10, 0, {}, model()))
    file = tmp_path / CHECKPOINT_FILE
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"checkpoint .*checkpoint.npz is damaged"):
        Checkpointer(tmp_path, Checkpoints(), 10, {}).load()


def test_plateau_lowers_the_rate_again_only_after_its_patience() -> None:
    from components.trainer.learning_rate import Plateau

    trained = model()
    plateau = Plateau(LearningRate(schedule="plateau", factor=0.1, patience=2), Improvement("val_loss"))
    rates = []
    for number, loss in enumerate([1.0, 1.0, 1.0, 1.0, 0.5, 0.6, 0.6]):
        plateau.round_done(Moment(number, number, {"val_loss": loss}, trained))
        rates.append(round(float(trained.optimizer.learning_rate), 8))
    assert rates == [1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-4, 1e-5]
