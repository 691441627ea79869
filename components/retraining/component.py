"""RetrainingPolicy: is a new model worth its training? Decided before the Trainer, with its reason on record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.portioned import span_name
from components.retraining.rules import Data, Facts, NewData, Rule
from pipeline.artifacts import Artifact, ExampleAnomalies, Examples, Model, ModelEvaluation
from pipeline.channel import Condition
from pipeline.component import Component, Input, Output
from pipeline.context import Context
from pipeline.driver import Driver
from pipeline.errors import DefinitionError
from pipeline.resolution import ArtifactGroups, History

_OWN_INPUTS = ("last_model", "trained_examples", "blessed_evaluation")


class RetrainingDecision(Artifact):
    """`summary.json`: whether a model is trained, and why; `retrain` and `reason` are properties."""

    PROPERTIES = {"retrain": int, "reason": str}


@dataclass(frozen=True)
class Passed(Condition):
    """Holds where the policy asks for training; its reason is that of the decision."""

    def holds(self, artifact: Artifact) -> tuple[bool, str]:
        """Returns what was decided, and why."""
        return artifact.properties.get("retrain") == 1, f"{self.channel.node.id}: {artifact.properties.get('reason', '')}"


class RetrainingDriver(Driver):
    """Adds what the rules ask of history: the last model with the data it was trained on, and the champion's first evaluation."""

    def select_inputs(self, node: Component, inputs: ArtifactGroups, history: History) -> ArtifactGroups:
        """Returns the inputs with those that come from history; they are recorded as inputs."""
        found = dict(inputs)
        last = next((model for model in history.artifacts(Model.TYPE_NAME) if _is_own(model, history)), None)
        if last is not None:
            found["last_model"] = (last,)
            found["trained_examples"] = tuple(trained_on(history, last))
        for champion in inputs.get("champion", ()):
            evaluation = _evaluation_when_blessed(history, champion)
            if evaluation is not None:
                found["blessed_evaluation"] = (evaluation,)
        return {name: group for name, group in found.items() if group}


def _is_own(model: Artifact, history: History) -> bool:
    """Returns whether the pipeline has made the model, and not only selected it."""
    producer = history.producer(model)
    return producer is not None and producer.pipeline == history.pipeline


def trained_on(history: History, model: Artifact) -> list[Artifact]:
    """Returns the Examples that a model was made from, those of ExampleGens and those that came of them; not those of earlier models."""
    found: dict[int, Artifact] = {}
    waiting = [model]
    while waiting:
        producer = history.producer(waiting.pop())
        for group in () if producer is None else history.inputs_of(producer).values():
            for artifact in group:
                if artifact.id is not None and artifact.id not in found and artifact.type_name != Model.TYPE_NAME:
                    found[artifact.id] = artifact
                    waiting.append(artifact)
    return [artifact for _, artifact in sorted(found.items()) if artifact.type_name == Examples.TYPE_NAME]


def _evaluation_when_blessed(history: History, model: Artifact) -> Artifact | None:
    """Returns the evaluation by which a model was first blessed."""
    events = history.store.events_of_artifacts([model.id or 0])
    for execution in sorted({event.execution for event in events if not event.kind.is_output and event.key == "model"}):
        outputs = history.store.outputs_of(execution)
        blessed = any(blessing.properties.get("blessed") == 1 for blessing in outputs.get("blessing", ()))
        for evaluation in outputs.get("evaluation", ()) if blessed else ():
            if evaluation.state.value == "LIVE":
                return evaluation
    return None


class RetrainingPolicy(Component):
    """Decides whether a model is trained; where not, all nodes that wait for it are skipped with its reason, and the run is done.

    Nodes wait for it by `when=gate.passed`: the Trainer, or already the Transform. The decision is taken anew in each run (it looks at the
    clock and at history) and costs milliseconds. Without a model it is always to train. See `docs/retraining.md`.

    Inputs:
        examples: The data that a model would be trained on: one artifact, or those of a window.
        anomalies: What the ExampleValidator found, for `DriftAbove`; optional.
        champion: The model to replace, usually the latest blessed one, for `ModelOlderThan` and `ChampionWorse`; optional.
        champion_evaluation: How good it is on the new data, from a `ChampionCheck`; optional.
        last_model: Found in history: the model that was trained last.
        trained_examples: Found in history: what it was trained on.
        blessed_evaluation: Found in history: how good the champion was when it was blessed.

    Outputs:
        decision: `summary.json` (`schemas/summaries/RetrainingDecision.json`), with `retrain` and `reason` in its properties.

    Args:
        retrain_if: Rules, combined by `|` (or) and `&` (and). Default: `NewData()`.
        force: Train whatever the rules say, as by `cauce run --set RetrainingPolicy.force=true`. Default: False.

    Raises:
        DefinitionError: If a rule needs an input that is not given.
        DataError: If the champion was evaluated without the metric that a rule names.

    Example:
        from components.retraining import ModelOlderThan, NewData

        gate = RetrainingPolicy(examples, champion=champion, retrain_if=NewData(rows=1000) | ModelOlderThan(days=30))
        trainer = Trainer(transform.transformed_examples, transform.transform_graph, schema, module="model", label="cnt", when=gate.passed)
    """

    driver = RetrainingDriver
    isolated = False
    cacheable = False

    def validate(self) -> None:
        """Checks that the rules have what they look at."""
        given = set(self.inputs)
        for rule in self.parameters["retrain_if"].parts():
            missing = [name for name in rule.needs if name not in given]
            if missing:
                raise DefinitionError(f"Node '{self.id}': the rule '{rule}' needs the input '{missing[0]}'.", hint=_HINTS[missing[0]])
        doubled = [name for name in _OWN_INPUTS if name in given]
        if doubled:
            raise DefinitionError(f"Node '{self.id}': '{doubled[0]}' is found in history. Leave it out.")

    @property
    def passed(self) -> Condition:
        """The condition that a model is to be trained: `Trainer(..., when=gate.passed)`."""
        return Passed(self.outputs["decision"], f"{self.id} asks for training", lambda artifact: artifact.properties.get("retrain") == 1)

    def execute(
        self,
        context: Context,
        examples: Input[list[Examples]],
        decision: Output[RetrainingDecision],
        anomalies: Input[ExampleAnomalies] | None = None,
        champion: Input[Model] | None = None,
        champion_evaluation: Input[ModelEvaluation] | None = None,
        last_model: Input[Model] | None = None,
        trained_examples: Input[list[Examples]] | None = None,
        blessed_evaluation: Input[ModelEvaluation] | None = None,
        *,
        retrain_if: Rule = NewData(),  # noqa: B008 - it is frozen
        force: bool = False,
    ) -> None:
        """Asks the rules."""
        metrics, rows = _metrics(champion_evaluation)
        facts = Facts(
            data=tuple(Data(one.digest, sum(one.record_counts.values()), _span(one), span_name(one)) for one in examples),
            trained_on=frozenset(one.digest for one in trained_examples or ()),
            last_model=None if last_model is None else last_model.id,
            champion=None if champion is None else champion.id,
            age=_age(champion or last_model),
            anomalies=None if anomalies is None else anomalies.summary(),
            metrics=metrics,
            blessed_metrics=_metrics(blessed_evaluation)[0],
            rows=rows,
        )
        holds, opinions = retrain_if.judge(facts)
        reason = _reason(holds, force, facts, [(opinion.holds, opinion.text) for opinion in opinions])
        retrain = holds or force or facts.last_model is None
        rules = [{"rule": opinion.rule, "holds": opinion.holds, "text": opinion.text} for opinion in opinions]
        decision.write_summary({"retrain": retrain, "reason": reason, "policy": str(retrain_if), "rules": rules})
        decision.properties.update({"retrain": int(retrain), "reason": reason})
        context.decide("retrain" if retrain else "no retraining", [reason, f"The policy: {retrain_if}."])


_HINTS: Mapping[str, str] = {
    "anomalies": "Give it: anomalies=validator.anomalies",
    "champion": "Give it: champion=Resolver('latest_blessed_model').model",
    "champion_evaluation": "Give it: champion_evaluation=ChampionCheck(examples, champion.model, ...).evaluation",
}


def _reason(holds: bool, force: bool, facts: Facts, said: Sequence[tuple[bool, str]]) -> str:
    if holds:
        text = "; ".join(dict.fromkeys(text for held, text in said if held))
    elif force:
        text = "asked for with force"
    elif facts.last_model is None:
        text = "no model has been trained yet"
    else:
        text = "; ".join(dict.fromkeys(text for held, text in said if not held))
    return f"{text[:1].upper()}{text[1:]}."


def _span(examples: Artifact) -> int | None:
    return int(examples.properties.get("span", 0)) or None


def _age(model: Artifact | None) -> float | None:
    """Returns the age of a model in hours."""
    return None if model is None else max(0.0, time.time() - model.created / 1000) / 3600


def _metrics(evaluation: Artifact | None) -> tuple[Mapping[str, Any] | None, int | None]:
    """Returns the metrics on all rows, and the number of these."""
    if evaluation is None:
        return None, None
    overall: Mapping[str, Any] = next((one for one in evaluation.summary().get("slices", ()) if not one.get("slice")), {})
    return overall.get("metrics", {}), overall.get("examples")
