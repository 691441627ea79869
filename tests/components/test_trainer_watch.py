"""The training watch: each rule fires on what it is for, and is silent on a healthy training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from components.trainer import Rule, Watch
from components.trainer.options import Action
from components.trainer.watch.course import NotFinite, Overfitting, Plateau, SlowInput
from components.trainer.watch.probe import Probe
from components.trainer.watch.rules import (
    LOOKING_RULES,
    ClassLoss,
    DeadRelus,
    ExplodingGradients,
    Rounds,
    VanishingGradients,
    WeightsDoNotMove,
)
from components.trainer.watch.tried import Tried
from pipeline.errors import DefinitionError, ExecutionError
from tests.components.weather import BINARY, CLASSES, trained, transformed

pytestmark = pytest.mark.tensorflow

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return transformed(tmp_path_factory.mktemp("weather"))


def probe(*layers: Any, outputs: int = 2, scale: float = 1.0, classes: tuple[str, ...] = ("low", "high")) -> Any:
    """A probe of a model with the given hidden layers, and the model."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    inputs = keras.Input((4,), name="values")
    hidden = inputs
    for layer in layers:
        hidden = layer(hidden)
    model = keras.Model({"values": inputs}, keras.layers.Dense(outputs, activation="softmax", name="last")(hidden))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    values = np.random.default_rng(1).normal(size=(40, 4)).astype("float32")
    rows = ({"values": tf.constant(values * scale)}, tf.constant((values[:, :1] > 0).astype("int64")))
    return Probe(model, rows, rows, classes), model, rows


def dense(**parameters: Any) -> Any:
    import keras

    return keras.layers.Dense(6, **{"activation": "relu", "name": "hidden", **parameters})


def findings(rule: Any, look: Any) -> list[tuple[str | None, float | None]]:
    return [(found.layer, found.value) for found in rule.at_look(look)]


def test_a_healthy_model_is_left_alone_by_all_rules_that_look_at_it() -> None:
    looks, model, rows = probe(dense())
    first = looks.look(1)
    model.fit(*rows, verbose=0, epochs=3)
    second = looks.look(4)
    for kind in LOOKING_RULES:
        rule = kind()
        assert findings(rule, first) + findings(rule, second) == [], rule.name
        assert rule.looked, rule.name


def test_exploding_gradients_are_named_by_layer() -> None:
    looks, _, _ = probe(dense(), scale=1e5)
    (first, *_) = ExplodingGradients(100.0).at_look(looks.look(7))
    assert first.layer == "hidden"
    assert first.value is not None
    assert first.value > 100
    assert "layer 'hidden'" in first.text
    assert "step 7; bound: 100." in first.text
    assert first.advice == "Try gradient_clipping=1.0, a lower learning rate or scaled features."
    assert first.threshold == 100.0


def test_vanishing_gradients_are_named_by_layer() -> None:
    import keras

    squashing = [
        keras.layers.Dense(6, activation="sigmoid", name=f"deep{index}", kernel_initializer=keras.initializers.RandomNormal(0, 0.01))
        for index in range(6)
    ]
    looks, _, _ = probe(*squashing)
    assert "deep0" in [layer for layer, _ in findings(VanishingGradients(), looks.look(1))]


def test_a_layer_that_no_gradient_reaches_is_named() -> None:
    import keras

    looks, _, _ = probe(dense(), keras.layers.Lambda(lambda values: keras.ops.stop_gradient(values)))
    (found,) = VanishingGradients().at_look(looks.look(1))
    assert found.layer == "hidden"
    assert "no gradient" in found.text


def test_dead_relus_are_named_by_layer() -> None:
    import keras

    looks, _, _ = probe(dense(bias_initializer=keras.initializers.Constant(-100.0)))
    assert findings(DeadRelus(), looks.look(1)) == [("hidden", 1.0)]


def test_weights_that_do_not_move_are_named_by_layer() -> None:
    looks, model, rows = probe(dense())
    looks.look(1)
    model.optimizer.learning_rate = 0.0
    model.fit(*rows, verbose=0)
    assert findings(WeightsDoNotMove(), looks.look(3)) == [("hidden", 0.0), ("last", 0.0)]


def test_the_loss_of_a_class_that_is_not_learned_is_named() -> None:
    import tensorflow as tf

    looks, model, rows = probe(dense(), outputs=3, classes=("low", "high", "rare"))
    model.fit(*rows, verbose=0, epochs=60)
    labels = np.array(rows[1])
    labels[:6] = 2
    looks._evaluation = (rows[0], tf.constant(labels))
    assert [layer for layer, _ in findings(ClassLoss(), looks.look(1))] == ["rare"]


def test_a_look_leaves_the_model_as_it_was() -> None:
    import keras

    looks, model, _ = probe(dense(), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    before = [variable.numpy() for variable in model.variables]
    looks.look(1)
    assert all(np.array_equal(one, two.numpy()) for one, two in zip(before, model.variables, strict=True))


def rounds(loss: list[float], evaluated: list[float], *, larger: bool = False) -> Rounds:
    return Rounds(10 * len(loss), loss, evaluated, "val_loss", evaluated, larger)


@pytest.mark.parametrize(
    ("loss", "evaluated", "fires"),
    [
        ([0.9, 0.5, 0.3, 0.2, 0.1], [0.8, 0.5, 0.55, 0.6, 0.7], True),
        ([0.9, 0.5, 0.3, 0.2, 0.1], [0.8, 0.5, 0.51, 0.52, 0.53], False),
        ([0.9, 0.5, 0.3, 0.2, 0.1], [0.8, 0.5, 0.7, 0.6, 0.65], False),
        ([0.9, 0.8, 0.8, 0.8, 0.8], [0.8, 0.5, 0.55, 0.6, 0.7], False),
        ([0.9, 0.5, 0.3, 0.2, 0.1], [0.8, 0.7, 0.6, 0.5, 0.4], False),
    ],
)
def test_overfitting_is_a_rising_gap(loss: list[float], evaluated: list[float], fires: bool) -> None:
    found = list(Overfitting().at_round(rounds(loss, evaluated)))
    assert bool(found) == fires
    assert all("40% above its minimum of 0.5 in round 2" in finding.text for finding in found)


@pytest.mark.parametrize(
    ("larger", "values", "fires"),
    [
        (False, [0.5, 0.6, 0.6, 0.6], True),
        (False, [0.5, 0.6, 0.6, 0.4], False),
        (True, [0.5, 0.4, 0.4, 0.4], True),
        (True, [0.5, 0.6, 0.7, 0.8], False),
    ],
)
def test_a_plateau_is_a_best_round_long_ago(larger: bool, values: list[float], fires: bool) -> None:
    assert bool(list(Plateau(2).at_round(rounds(values, values, larger=larger)))) == fires


def test_slow_input_is_a_share_of_looks_without_a_batch() -> None:
    assert not list(SlowInput().at_looks(100, 9, 9, 30.0)), "too few looks"
    assert not list(SlowInput().at_looks(100, 5, 20, 30.0))
    (found,) = SlowInput().at_looks(100, 15, 20, 30.0)
    assert found.value == 0.75


def test_a_loss_that_is_no_number_names_the_layers_whose_weights_are_none() -> None:
    found = NotFinite().at_loss(3, 10, float("nan"), ("hidden", "last"))
    assert found.layer == "hidden"
    assert found.value is None
    assert found.text == "The loss is nan at step 3 of 10. Weights that are no numbers: hidden, last."


def test_what_the_watch_saw_is_in_the_summary_and_a_healthy_training_has_no_verdict(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, CLASSES, label="sky", epochs=6, watch=Watch(every_steps=10))
    summary = outputs["model_run"].summary()
    jsonschema.validate(summary, json.loads((REPOSITORY / "schemas/summaries/ModelRun.json").read_text()))
    assert summary["watch"]["looks"] == 7
    assert summary["watch"]["findings"] == []
    states = {rule["rule"]: rule["state"] for rule in summary["watch"]["rules"]}
    assert states.pop("slow_input") == "not looked"
    assert set(states.values()) == {"quiet"}
    assert outputs.context.verdict is None


def test_a_short_training_is_not_slowed_down_by_looks(tmp_path: Path, weather: dict[str, Any]) -> None:
    watch = trained(tmp_path, weather)["model_run"].summary()["watch"]
    assert watch["looks"] == 0
    reasons = {rule["rule"]: rule["reason"] for rule in watch["rules"]}
    assert "too short to look" in reasons["exploding_gradients"]


def test_warnings_become_the_verdict_of_the_node(tmp_path: Path, weather: dict[str, Any]) -> None:
    outputs = trained(tmp_path, weather, watch=Watch(every_steps=10, exploding_gradients=Rule("warn", 1e-9)))
    verdict = outputs.context.verdict
    assert verdict is not None
    assert verdict.kind == "trained with warnings"
    assert not verdict.blocks
    assert any("exploding_gradients: The gradient of layer 'dense" in reason for reason in verdict.reasons)
    (first, *_) = outputs["model_run"].summary()["watch"]["findings"]
    assert (first["step"], first["last_step"], first["times"]) == (10, 30, 3)


def test_three_findings_are_told_of_different_rules_first_and_the_others_counted(tmp_path: Path, weather: dict[str, Any]) -> None:
    eager = Watch(every_steps=10, exploding_gradients=Rule("warn", 1e-9), weights_do_not_move=Rule("warn", 1e9), class_loss=Rule("off"))
    outputs = trained(tmp_path, weather, watch=eager, epochs=2)
    found = outputs["model_run"].summary()["watch"]["findings"]
    assert len(found) > 3
    verdict = outputs.context.verdict
    assert verdict is not None
    *told, more = verdict.reasons
    assert [line.partition(":")[0] for line in told] == ["exploding_gradients", "weights_do_not_move", "exploding_gradients"]
    assert more == f"and {len(found) - 3} more in the summary of the ModelRun"


def test_no_advice_names_what_is_set_already(tmp_path: Path, weather: dict[str, Any]) -> None:
    wanted = Watch(every_steps=10, exploding_gradients=Rule("warn", 1e-9))
    outputs = trained(tmp_path, weather, watch=wanted, epochs=1, gradient_clipping=1.0)
    (first, *_) = outputs["model_run"].summary()["watch"]["findings"]
    assert "at step 10, before it is clipped; bound: 1e-09." in first["text"]
    assert first["advice"] == "Try a lower learning rate or scaled features."


def test_advice_is_what_is_left_to_try() -> None:
    worse, flat = rounds([0.9, 0.5, 0.3, 0.2], [0.5, 0.6, 0.7, 0.8]), rounds([0.5, 0.6], [0.5, 0.6])
    expected = [
        (Overfitting(tried=Tried(early_stopping=True, drops=True)), worse, "Try augmentation, weight decay or more rows."),
        (Overfitting(tried=Tried(True, True, True, True, True, True, True, True)), worse, "Try more rows."),
        (Plateau(0), flat, "Try early_stopping_patience or LearningRate(schedule='plateau')."),
        (Plateau(0, Tried(early_stopping=True)), flat, "Try LearningRate(schedule='plateau')."),
        (Plateau(0, Tried(early_stopping=True, scheduled=True)), flat, "Try fewer epochs, other features or a larger model."),
    ]
    assert [[found.advice for found in rule.at_round(seen)] for rule, seen, _ in expected] == [[text] for *_, text in expected]
    (slow,) = SlowInput(tried=Tried(augments=True)).at_looks(100, 15, 20, 30.0)
    assert slow.advice == "Try a cheaper augment, larger batches or more cores."


def test_stop_fails_the_node_with_the_reason(tmp_path: Path, weather: dict[str, Any]) -> None:
    with pytest.raises(ExecutionError, match=r"The watch stopped the training: val_loss has not been better .* for 1 round at step \d+"):
        trained(tmp_path, weather, BINARY.replace("0.02", "5.0"), epochs=20, watch=Watch(plateau=Rule("stop", 0.5)))


HOOK = (
    BINARY
    + """
FOUND = []


def on_finding(finding, model):
    FOUND.append(finding)
    model.optimizer.learning_rate = 0.001
    return "stop" if len(FOUND) > 1 else None
"""
)


def test_a_hook_hears_of_it_and_may_stop(tmp_path: Path, weather: dict[str, Any]) -> None:
    wanted = Watch(every_steps=10, exploding_gradients=Rule("hook", 1e-9))
    with pytest.raises(ExecutionError, match="The watch stopped the training: The gradient of layer"):
        trained(tmp_path, weather, HOOK, watch=wanted)
    with pytest.raises(DefinitionError, match="has no function 'on_finding' for the watch's hook"):
        trained(tmp_path, weather, watch=wanted)


STANDING = BINARY.replace("Adam(0.02)", "Adam(0.0)")
MENDED = STANDING + "\n\ndef on_finding(finding, model):\n    model.optimizer.learning_rate = 0.02\n"


@pytest.mark.parametrize(("source", "action", "told"), [(STANDING, "warn", True), (MENDED, "hook", False)])
def test_what_is_not_so_any_more_at_the_end_is_no_warning(
    tmp_path: Path, weather: dict[str, Any], source: str, action: Action, told: bool
) -> None:
    outputs = trained(tmp_path, weather, source, epochs=4, watch=Watch(plateau=Rule(action, 0.5)))
    (found,) = outputs["model_run"].summary()["watch"]["findings"]
    assert found["rule"] == "plateau"
    assert (outputs.context.verdict is not None) == told


def test_without_the_watch_only_the_loss_is_checked(tmp_path: Path, weather: dict[str, Any]) -> None:
    summary = trained(tmp_path, weather, epochs=1, watch=False)["model_run"].summary()
    assert {rule["reason"] for rule in summary["watch"]["rules"] if rule["action"] == "off"} == {"it is off"}
    source = BINARY.replace('loss="binary_crossentropy"', "loss=lambda truth, made: keras.ops.log(made - 2)")
    with pytest.raises(ExecutionError, match="The loss is nan at step"):
        trained(tmp_path, weather, source, watch=False)
