"""Pusher: makes a blessed model the served one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.destination import standing_of
from components.serving import PushRecord, ServedVersion, copy_tree, publish, remove_old, served_version, serving_path, versions
from pipeline.artifacts import Artifact, Model, ModelBlessing, PushedModel
from pipeline.component import Component, Input, Output, resolve_path
from pipeline.context import Context
from pipeline.driver import Driver, KeyPart, Prepared
from pipeline.errors import DataError, DefinitionError
from pipeline.hashing import digest, digest_tree


class PushDriver(Driver):
    """Reuses an earlier push only while its version is there as it was pushed, and nobody has decided otherwise since."""

    def prepare(self, node: Component, inputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> Prepared:
        """Makes a pin, and what was rolled back, a part of the cache key."""
        standing = standing_of(resolve_path(project, node.parameters["destination"]))
        parts = [KeyPart("pin of the destination", digest(standing.pin.since), standing.pin.reason)] if standing.pin else []
        withdrawn = sorted(one.digest for one in standing.withdrawn)
        parts += [KeyPart("rollback at the destination", digest(withdrawn), f"{len(withdrawn)} models")] if withdrawn else []
        return Prepared(dict(node.parameters), tuple(parts))

    def check_cached(self, node: Component, outputs: Mapping[str, tuple[Artifact, ...]], project: Path) -> str | None:
        """Returns why an earlier push may not be reused; None if it may."""
        destination = resolve_path(project, node.parameters["destination"])
        for pushed in outputs.get("pushed_model", ()):
            path = Path(str(pushed.properties.get("pushed_destination", "")))
            if path.parent != destination:
                return f"it was pushed to {path.parent}, not to {destination}"
            found = next((version for version in versions(destination) if version.path == path), None)
            if found is None:
                return f"version {path.name} is no longer at {destination}"
            if found.problem is not None:
                return found.problem
        return None


class Pusher(Component):
    """Copies a blessed model to `destination/<version>/`, from where TensorFlow Serving serves the highest version.

    A version is written aside and renamed, so that a server sees it whole or not at all; versions grow and are never overwritten,
    also when two pipelines push at once. A model that the served version holds already, for example because a push was
    interrupted before it was recorded, is not copied again. A model that is not blessed is not pushed, nor is one that was rolled back
    (`cauce models rollback`), nor any other while the destination is pinned (`cauce models pin`); the verdict says why: that is a result
    and no failure.

    Inputs:
        model: The model, with its SavedModel in `Format-Serving/`.
        blessing: What the Evaluator said about it; without this input every model is pushed.

    Outputs:
        pushed_model: The SavedModel as it was pushed, with `pushed_destination` and `pushed_version` in its properties, and
            `summary.json` (`schemas/summaries/PushedModel.json`); empty if the model was not pushed.

    Args:
        destination: The folder of versions; relative to the project.
        keep: How many of the newest versions stay, 1 or more; older ones are removed. Default: None, all of them.

    Raises:
        DataError: If the SavedModel is not complete or not as it was trained, or the blessing is for another model.
        StorageError: If the destination cannot be written, or what was decided about it cannot be read; nothing of the model can be
            seen there then.

    Example:
        pusher = Pusher(trainer.model, evaluator.blessing, destination="serving/taxi", keep=5)
    """

    driver = PushDriver
    isolated = False

    def validate(self) -> None:
        """Checks `keep` and `destination`."""
        keep = self.parameters["keep"]
        if keep is not None and keep < 1:
            raise DefinitionError(f"Node '{self.id}': parameter 'keep' expects None or 1 and more. Received: {keep}.")
        if not self.parameters["destination"]:
            raise DefinitionError(f"Node '{self.id}': parameter 'destination' is empty.", hint="For example: destination='serving/taxi'.")

    def execute(
        self,
        context: Context,
        model: Input[Model],
        blessing: Input[ModelBlessing] | None,
        pushed_model: Output[PushedModel] | None,
        *,
        destination: str,
        keep: int | None = None,
    ) -> None:
        """Pushes the model, or says why not."""
        _check_same_model(model, blessing)
        if blessing is not None and blessing.properties.get("blessed") != 1:
            context.decide("not pushed", ("The model is not blessed.", *_reasons(blessing)))
            return
        source = serving_path(model.path)
        _check_intact(model)
        folder = context.path(destination)
        refusal = _refusal(source, folder, destination)
        if refusal is not None:
            context.decide("not pushed", refusal)
            return
        record = PushRecord(
            digest="",
            size=0,
            pushed="",
            model=model.name,
            model_id=model.id,
            pipeline=context.pipeline,
            run=context.run,
            reasons=_reasons(blessing),
        )
        context.progress(f"copying to {destination}")
        version, is_new = publish(source, folder, record)
        removed = [] if keep is None else remove_old(folder, keep)
        if pushed_model is not None:
            _record_push(pushed_model, source, version, destination)
        said = [f"{'Version' if is_new else 'Already served as version'} {version.number} in {destination}."]
        said += ["No blessing was asked for."] if blessing is None else []
        said += [f"Removed old versions: {', '.join(map(str, removed))}."] if removed else []
        context.decide("pushed", said)


def _check_same_model(model: Model, blessing: ModelBlessing | None) -> None:
    """Raises an error if the blessing is for a model with another content."""
    judged = "" if blessing is None else str(blessing.properties.get("current_model_digest", ""))
    if judged and model.digest and judged != model.digest:
        raise DataError(f"The blessing is for another model than '{model.name}'.", hint="Give the Pusher and the Evaluator the same model.")


def _refusal(source: Path, folder: Path, destination: str) -> tuple[str, ...] | None:
    """Returns why people do not want this model there; None if they have not said so, or it is served already."""
    standing = standing_of(folder)
    if standing.pin is None and not standing.withdrawn:
        return None
    content, served = digest_tree(source), served_version(folder)
    if served is not None and served.record is not None and served.record.digest == content:
        return None
    withdrawal = standing.withdrawal(content)
    if withdrawal is not None:
        return (
            f"This model was version {withdrawal.version} in {destination} and was rolled back at {withdrawal.since}: {withdrawal.reason}",
            f"To serve it again, type: cauce models rollback {destination} {withdrawal.version} --reason '...'",
        )
    if standing.pin is None:
        return None
    at = "nothing" if served is None else f"version {served.number}"
    return (
        f"{destination} is pinned at {at} since {standing.pin.since}: {standing.pin.reason}",
        f"To let models through again, type: cauce models unpin {destination} --reason '...'",
    )


def _check_intact(model: Model) -> None:
    if model.digest and digest_tree(model.path) != model.digest:
        raise DataError(
            f"The files of model '{model.name}' at {model.path} have changed since it was trained.",
            hint=f"Train again: --rerun {model.producer}",
        )


def _reasons(blessing: ModelBlessing | None) -> tuple[str, ...]:
    return () if blessing is None else tuple(map(str, blessing.summary().get("reasons", ())))


def _record_push(pushed: PushedModel, source: Path, version: ServedVersion, destination: str) -> None:
    copy_tree(source, pushed.path, link=True)
    pushed.properties.update({"pushed": 1, "pushed_destination": str(version.path), "pushed_version": str(version.number)})
    digest = version.record.digest if version.record is not None else ""
    pushed.write_summary({"destination": destination, "version": version.number, "digest": digest})
