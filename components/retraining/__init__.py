"""Retraining: whether new data are worth a new model, decided before one is trained."""

from components.retraining.champion import ChampionCheck
from components.retraining.component import RetrainingDecision, RetrainingPolicy
from components.retraining.rules import Always, ChampionWorse, DriftAbove, ModelOlderThan, NewData, Rule

__all__ = [
    "Always",
    "ChampionCheck",
    "ChampionWorse",
    "DriftAbove",
    "ModelOlderThan",
    "NewData",
    "RetrainingDecision",
    "RetrainingPolicy",
    "Rule",
]
