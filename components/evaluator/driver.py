"""The Evaluator's driver: which champion a model is judged against, and the content of an `EvalConfig` file as part of the key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.component import Component, resolve_path
from pipeline.driver import Driver, KeyPart, Prepared
from pipeline.errors import DataError
from pipeline.hashing import digest_file
from pipeline.resolution import ArtifactGroups, History


class EvaluatorDriver(Driver):
    """Keeps the champion that a model was judged against."""

    def select_inputs(self, node: Component, inputs: ArtifactGroups, history: History) -> ArtifactGroups:
        """Returns the inputs, with another baseline where the baseline is the model itself.

        When nothing changed since a model was blessed, the champion is that very model. To compare it with itself says nothing;
        it is judged against what it was judged against when it was blessed, and so its evaluation is found in the cache.
        """
        model, baseline = inputs["model"][0], inputs.get("baseline_model", (None,))[0]
        if baseline is None or baseline.digest != model.digest:
            return inputs
        others = {name: group for name, group in inputs.items() if name != "baseline_model"}
        for execution in history.executions(node.id):
            judged = history.inputs_of(execution)
            if judged["model"][0].digest == model.digest:
                return {**others, **{name: group for name, group in judged.items() if name == "baseline_model"}}
        return others

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Adds the content of the `EvalConfig` file to the key.

        Raises:
            DataError: If there is no such file.
        """
        given = node.parameters["eval_config"]
        if given is None:
            return Prepared(dict(node.parameters))
        file = resolve_path(project, given)
        if not file.is_file():
            raise DataError(f"Node '{node.id}': there is no EvalConfig at {file}.")
        return Prepared(dict(node.parameters), (KeyPart("content of eval_config", digest_file(file), given),))
