"""The watcher: decides when to look, asks the rules, acts on what they find, and reports it."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from components.trainer.moment import Listener, Moment
from components.trainer.options import Rule, Watch
from components.trainer.preparation import Preparation
from components.trainer.stopping import larger_is_better
from components.trainer.stream import TrainingStream, evaluation_data
from components.trainer.user_module import UserModule
from components.trainer.watch.course import COURSE_RULES, NotFinite, SlowInput
from components.trainer.watch.finding import Finding
from components.trainer.watch.probe import Probe, layers_not_finite
from components.trainer.watch.rules import LOOKING_RULES, Rounds, WatchRule
from components.trainer.watch.tried import Tried
from pipeline.errors import DefinitionError, ExecutionError, did_you_mean

if TYPE_CHECKING:
    import keras

_SHARE = 0.02
"""Of the training time, for looks at the model; the loss, the course and the input cost next to nothing."""

_ROWS = 64
_EVALUATION_ROWS = 512
_FIRST_LOOK_STEPS = 5
_FIRST_LOOK_SECONDS = 0.1
_LEAST_SECONDS_OF_INPUT = 20.0
_MOST_WARNINGS = 3

Record = dict[str, Any]


class Watcher(Listener):
    """Watches one training.

    Args:
        watch: What to look at, and what to do.
        module: The user's module, which may have the hook.
        prepared: The rows to look with.
        stream: The batches that are trained on.
        log: Where warnings go at once.
        tried: What the training does already, which no advice is to name.
        uncounted: Why batches cannot be counted as they are made; empty if they can.

    Raises:
        DefinitionError: If a rule calls a hook that the module does not have.
    """

    def __init__(
        self,
        watch: Watch,
        module: UserModule,
        prepared: Preparation,
        stream: TrainingStream,
        log: logging.Logger,
        tried: Tried,
        *,
        uncounted: str = "",
    ) -> None:
        self._watch = watch
        self._prepared = prepared
        self._stream = stream
        self._log = log
        self._wanted: dict[str, Rule] = dict(watch.rules())
        kinds: dict[str, type[WatchRule]] = {kind.name: kind for kind in (*COURSE_RULES, *LOOKING_RULES)}
        self._rules = {name: kinds[name](rule.threshold, tried) for name, rule in self._wanted.items() if rule.action != "off"}
        self._hook = module.optional(watch.hook)
        if self._hook is None and any(rule.action == "hook" for rule in self._wanted.values()):
            raise DefinitionError(
                f"The module {module.name} has no function '{watch.hook}' for the watch's hook."
                f"{did_you_mean(watch.hook, vars(module.module))}",
                hint=f"def {watch.hook}(finding, model): ...",
            )
        self._reasons: dict[str, str] = {"slow_input": uncounted} if uncounted else {}
        if tried.early_stopping and self._wanted["overfitting"].action == "warn":
            self._rules.pop("overfitting", None)
            self._reasons["overfitting"] = "early stopping keeps the weights of the best round"
        self._probe: Probe | None = None
        self._found: dict[str, Record] = {}
        self._asked: dict[str, int] = {}
        self._rounds: dict[str, list[float]] = {}
        self._looks, self._seconds, self._cost = 0, 0.0, 0.0
        self._began, self._last_look, self._steps_seen = time.monotonic(), 0, 0
        self._input_looks, self._input_waits = 0, 0

    def training_begins(self, model: keras.Model) -> None:
        """The time begins to count of which the watch takes its share."""
        self._began = time.monotonic()

    def steps_done(self, moment: Moment) -> None:
        """Checks the loss, and looks at the model where it is time."""
        self._steps_seen += 1
        loss = moment.logs.get("loss", 0.0)
        rule = self._rules.get("not_finite")
        if isinstance(rule, NotFinite):
            rule.looked = True
            if not math.isfinite(loss):
                self._act(rule, [rule.at_loss(moment.step, self._prepared.plan.steps, loss, layers_not_finite(moment.model))], moment)
        if self._is_time(moment.step):
            self._look(moment)

    def round_done(self, moment: Moment) -> None:
        """Asks the rules on the course of the training."""
        for name, value in moment.logs.items():
            self._rounds.setdefault(name, []).append(float(value))
        monitor = self._prepared.plan.monitor
        rounds = Rounds(
            moment.step,
            self._rounds.get("loss", []),
            self._rounds.get("val_loss", []),
            monitor,
            self._rounds.get(monitor, []),
            larger_is_better(moment.model, monitor),
        )
        for rule in self._that_look_at("rounds"):
            self._act(rule, rule.at_round(rounds), moment)

    def look_at_input(self, moment: Moment) -> None:
        """Looks whether a batch is ready; called a few times per second, when all steps so far are really done."""
        if self._steps_seen <= _FIRST_LOOK_STEPS:
            return
        self._input_looks += 1
        self._input_waits += self._stream.ready(moment.step) <= 0
        seconds = time.monotonic() - self._began
        rule = self._rules.get("slow_input")
        if isinstance(rule, SlowInput) and seconds >= _LEAST_SECONDS_OF_INPUT:
            self._act(rule, rule.at_looks(moment.step, self._input_waits, self._input_looks, seconds), moment)

    def waiting(self) -> float | None:
        """Returns the share of looks at which no batch was ready; None where nobody looked often enough."""
        return round(self._input_waits / self._input_looks, 4) if self._input_looks >= SlowInput.LEAST_LOOKS else None

    def _that_look_at(self, what: str) -> list[WatchRule]:
        return [rule for rule in self._rules.values() if rule.looks_at == what]

    def _is_time(self, step: int) -> bool:
        if not self._that_look_at("model"):
            return False
        if self._watch.every_steps is not None:
            return step // self._watch.every_steps > self._last_look // self._watch.every_steps
        if self._steps_seen < _FIRST_LOOK_STEPS:
            return False
        elapsed = time.monotonic() - self._began
        expected = self._cost or max(_FIRST_LOOK_SECONDS, 6 * elapsed / self._steps_seen)
        return self._seconds + expected <= _SHARE * elapsed

    def _look(self, moment: Moment) -> None:
        began = time.monotonic()
        if self._probe is None:
            self._probe = self._make_probe(moment.model)
        look = self._probe.look(moment.step)
        self._looks += 1
        self._last_look = moment.step
        self._cost = time.monotonic() - began
        self._seconds += self._cost
        for rule in self._that_look_at("model"):
            self._act(rule, rule.at_look(look), moment)

    def _make_probe(self, model: keras.Model) -> Probe:
        prepared = self._prepared
        size = min(_ROWS, prepared.plan.batch_size)
        rows = next(iter(evaluation_data(prepared.training, prepared.maker, batch_size=size, steps=1)))
        sample, context = None, prepared.model_context
        if prepared.evaluation is not None and context.classes and "class_loss" in self._rules:
            sample = next(iter(evaluation_data(prepared.evaluation, prepared.maker, batch_size=_EVALUATION_ROWS, steps=1)))
        else:
            self._reasons["class_loss"] = (
                "there are no evaluation rows" if prepared.evaluation is None else "the label has no named classes"
            )
        return Probe(model, rows, sample, context.classes)

    def _act(self, rule: WatchRule, findings: Iterable[Finding], moment: Moment) -> None:
        """Records what a rule finds, and warns, stops or calls the hook where it is new.

        Raises:
            ExecutionError: If training is to stop.
        """
        self._asked[rule.name] = moment.step
        for finding in findings:
            key = f"{finding.rule} {finding.layer or ''}"
            if key in self._found:
                self._found[key]["times"] += 1
                self._found[key]["last_step"] = finding.step
                continue
            action = self._wanted[finding.rule].action
            self._found[key] = {**asdict(finding), "action": action, "last_step": finding.step, "times": 1}
            self._log.warning("%s: %s %s", finding.rule, finding.text, finding.advice)
            stop = action == "stop"
            if action == "hook" and self._hook is not None:
                stop = self._hook(finding, moment.model) == "stop"
            if stop:
                raise ExecutionError(f"The watch stopped the training: {finding.text}", hint=finding.advice)

    def warnings(self) -> tuple[str, ...]:
        """Returns what a person should know of the finished training: what was still so at the end, and what happened on the way.

        Each rule is told of once before any is told of twice, and at most three in all.
        """
        told: dict[str, list[str]] = {}
        for record in self._found.values():
            rule = self._rules[record["rule"]]
            if rule.passing or record["last_step"] == self._asked[rule.name]:
                told.setdefault(rule.name, []).append(f"{rule.name}: {record['text']} {record['advice']}")
        lines = [line for lines in itertools.zip_longest(*told.values()) for line in lines if line is not None]
        more = len(lines) - _MOST_WARNINGS
        return (*lines[:_MOST_WARNINGS], *([f"and {more:,} more in the summary of the ModelRun"] if more > 0 else []))

    def report(self) -> dict[str, Any]:
        """Returns the part `watch` of ModelRun's summary."""
        rules = [
            {
                "rule": name,
                "action": rule.action,
                "threshold": self._rules[name].threshold if name in self._rules else rule.threshold,
                "state": self._state_of(name),
                "reason": self._reason(name) if self._state_of(name) == "not looked" else "",
            }
            for name, rule in self._wanted.items()
        ]
        return {"looks": self._looks, "seconds": round(self._seconds, 3), "rules": rules, "findings": list(self._found.values())}

    def _state_of(self, name: str) -> str:
        if any(record["rule"] == name for record in self._found.values()):
            return "fired"
        return "quiet" if name in self._rules and self._rules[name].looked else "not looked"

    def _reason(self, name: str) -> str:
        if self._wanted[name].action == "off":
            return "it is off"
        known = self._reasons.get(name) or (self._probe.not_looked.get(name) if self._probe is not None else None)
        if known:
            return known
        if self._rules[name].looks_at == "model" and not self._looks:
            return f"training was too short to look within {_SHARE:.0%} of its time; Watch(every_steps=...) looks in any case"
        reasons = {
            "slow_input": "training was too short to tell",
            "overfitting": "it needs four evaluations",
            "plateau": f"there is no value '{self._prepared.plan.monitor}'",
        }
        return reasons.get(
            name, "there was one look, and it compares two" if name == "weights_do_not_move" else "there was nothing to look at"
        )

    def state(self) -> dict[str, Any]:
        """Returns what was found, and the rounds."""
        return {
            "found": self._found,
            "asked": self._asked,
            "rounds": self._rounds,
            "looks": self._looks,
            "last_look": self._last_look,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes what `state` returned."""
        self._found, self._rounds = dict(state["found"]), {name: list(values) for name, values in state["rounds"].items()}
        self._asked = dict(state["asked"])
        self._looks, self._last_look = state["looks"], state["last_look"]
