"""Tests of the history of a training."""

from __future__ import annotations

import pytest

from components.trainer.history import History
from components.trainer.moment import Moment, Plan

pytestmark = pytest.mark.tensorflow


def test_a_point_of_a_curve_is_the_mean_since_the_last_one_but_what_is_no_mean_stays_what_it_is() -> None:
    import keras
    import numpy as np

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=[keras.metrics.Precision(name="precision"), keras.metrics.MeanAbsoluteError(name="mae")])
    model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
    history = History(Plan(rounds=1, steps_per_round=2, batch_size=4))
    history.steps_done(Moment(1, 0, {"loss": 4.0, "mae": 2.0, "precision": 0.2}, model))
    history.steps_done(Moment(2, 0, {"loss": 3.0, "mae": 1.5, "precision": 0.9}, model))
    points = {curve["name"]: curve["values"] for curve in history.curves()}
    assert points == {"loss": [4.0, 2.0], "mae": [2.0, 1.0], "precision": [0.2, 0.9]}
