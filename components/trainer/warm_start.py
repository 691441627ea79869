"""Warm start: training that goes on from an earlier model, and when that model is a reason to train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.resolver import Resolver
from pipeline.artifacts import Artifact
from pipeline.component import Component
from pipeline.driver import Driver, Prepared

BASE_MODEL = "base_model"


class WarmStartDriver(Driver):
    """Leaves a base model that a Resolver selected out of the cache key.

    The champion of the last run is the result of the last training: were it a reason for the next one, a pipeline that starts from
    its champion would train again each time it is run, with nothing new to learn.
    """

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Looks where the base model comes from."""
        selected = any(isinstance(channel.node, Resolver) for channel in node.inputs.get(BASE_MODEL, ()))
        return Prepared(dict(node.parameters), left_out=frozenset({BASE_MODEL}) if selected else frozenset())
