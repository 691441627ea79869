"""cauce's engine: define a pipeline, run it, and see where a model came from."""

from pipeline.artifacts import Artifact
from pipeline.channel import Channel, Condition
from pipeline.component import Component, Input, Output, component
from pipeline.definition import Pipeline
from pipeline.version import __version__

__all__ = ["Artifact", "Channel", "Component", "Condition", "Input", "Output", "Pipeline", "__version__", "component"]
