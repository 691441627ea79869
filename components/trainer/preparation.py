"""What is known before the model is built: features, label, splits, the plan, and what `build_model` is told of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from components.trainer.batches import BatchMaker, find_augment, varying
from components.trainer.class_weights import class_weights
from components.trainer.data import FeatureSource, Split, check_label, feature_source
from components.trainer.export import missing_when_serving
from components.trainer.model_context import ModelContext
from components.trainer.moment import Plan
from components.trainer.settings import Artifacts, Settings
from components.trainer.stream import Order, steps_per_pass
from components.trainer.user_module import UserModule
from components.transform.summary import vocabularies
from pipeline.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Preparation:
    """What a training is to be fed with.

    Attributes:
        source: The features.
        training: The rows to train on.
        evaluation: The rows to evaluate on; None for no evaluation.
        maker: Makes batches of them; its `inputs` are all features until the model says which it takes.
        order: The order of the training rows.
        plan: How long to train.
        model_context: What `build_model` gets.
    """

    source: FeatureSource
    training: Split
    evaluation: Split | None
    maker: BatchMaker
    order: Order
    plan: Plan
    model_context: ModelContext

    def fed_with(self, inputs: tuple[str, ...]) -> Preparation:
        """Returns the same for a model that takes some of the features."""
        return replace(self, maker=replace(self.maker, inputs=inputs))


def prepare(node: str, module: UserModule, artifacts: Artifacts, settings: Settings) -> Preparation:
    """Reads what there is and checks it against the parameters, before any time is spent.

    Raises:
        DefinitionError: If there is neither a transform graph nor a schema, or no label is named.
        DataError: If there is no such label or weight, or a split has no rows.
        UserCodeError: If `augment` or `Sequences` do not fit.
    """
    source = feature_source(node, artifacts)
    label = check_label(node, settings.label, source)
    weights = _check_weights(node, settings.sample_weights, source)
    training = Split.of(node, artifacts.examples, settings.train_splits)
    evaluation = Split.of(node, artifacts.examples, settings.eval_splits) if settings.eval_splits else None
    terms = vocabularies(source.transform) if source.transform is not None else {}
    classes = settings.classes if settings.classes is not None else terms.get(label, ())
    left_out = {label, weights} | missing_when_serving(source)
    features = {name: spec for name, spec in source.spec.items() if name not in left_out}
    padded = varying(source, tuple(features), settings.sequences)
    maker = BatchMaker(
        source=source,
        inputs=tuple(features),
        label=label,
        sequences=settings.sequences,
        measured=padded,
        augment=find_augment(module.module),
        seed=settings.seed,
        sample_weights=weights,
        class_weights=class_weights(node, settings.class_weights, label, classes, source, training) if settings.class_weights else None,
    )
    per_pass = steps_per_pass(training, maker, settings.batch_size)
    plan = _plan(settings, per_pass)
    across = settings.train_steps is not None
    order = Order(
        settings.batch_size, settings.shuffle_rows or training.shuffle_rows, settings.seed, across_passes=across, steps_per_pass=per_pass
    )
    model_context = ModelContext(
        features=features,
        domains=source.domains,
        label=label,
        classes=classes,
        vocabularies=terms,
        hyperparameters=artifacts.tuned_values(),
        custom_config=settings.custom_config,
        train_rows=training.rows,
        train_steps=plan.steps,
        batch_size=settings.batch_size,
        padded=frozenset(padded),
    )
    return Preparation(source, training, evaluation, maker, order, plan, model_context)


def _plan(settings: Settings, per_pass: int) -> Plan:
    if settings.train_steps is not None:
        per_round = settings.steps_per_evaluation or settings.train_steps
        return Plan(settings.train_steps // per_round, per_round, settings.batch_size, settings.monitor, rounds_are_epochs=False)
    return Plan(settings.epochs or 1, per_pass, settings.batch_size, settings.monitor)


def _check_weights(node: str, name: str | None, source: FeatureSource) -> str | None:
    if name is not None and name not in source.spec:
        raise DataError(f"Node '{node}': there is no feature '{name}' for sample_weights.{did_you_mean(name, source.spec)}")
    return name
