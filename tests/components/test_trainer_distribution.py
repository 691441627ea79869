"""Training on several devices, as two logical processors of this machine, and what becomes of several machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DefinitionError
from tests.components.pictures import pictures, seen

pytestmark = pytest.mark.tensorflow

PROGRAM = """
import json, sys
from pathlib import Path
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from components.trainer import Checkpoints, Watch
from pipeline.artifacts import Examples, TransformGraph
from tests.components.pictures import seen

folder, examples, graph = map(Path, sys.argv[1:4])
artifact = Examples(examples)
artifact.set_splits(["train", "eval"])
outputs = seen(folder, {"raw": artifact, "graph": TransformGraph(graph)}, epochs=6, batch_size=24, early_stopping_patience=4, ema=0.5,
               checkpoints=Checkpoints(every_steps=4), watch=Watch(every_steps=10))
print(json.dumps([str(outputs["model"].path), outputs["model_run"].summary()]))
"""


def test_all_devices_train_the_same_model(tmp_path: Path) -> None:
    given = pictures(tmp_path)
    arguments = [str(tmp_path), str(given["raw"].path), str(given["graph"].path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    path, summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["strategy"], summary["devices"]) == ("mirrored", ["CPU:0", "CPU:1"])
    assert summary["history"]["val_accuracy"][-1] > 0.9
    assert summary["watch"]["looks"] == 3
    assert "several devices" in next(rule["reason"] for rule in summary["watch"]["rules"] if rule["rule"] == "slow_input")
    assert (Path(path) / "Format-Serving" / "saved_model.pb").is_file()


def test_several_machines_are_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = pictures(tmp_path)
    cluster = {"cluster": {"worker": ["one:1", "two:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(DefinitionError, match="TF_CONFIG names 2 workers"):
        seen(tmp_path, given)
    assert seen(tmp_path, given, distribute=False, epochs=1)["model_run"].summary()["strategy"] == "none"
