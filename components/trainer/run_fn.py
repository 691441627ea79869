"""The way of TFX: `run_fn` reads, trains and saves by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.records import shard_files
from components.schema.file import SCHEMA_FILE
from components.trainer.fn_args import FnArgs, data_accessor
from components.trainer.settings import SERVING_FOLDER, Artifacts, Settings
from pipeline.artifacts import Examples
from pipeline.context import Context
from pipeline.errors import UserCodeError


def call_run_fn(context: Context, run_fn: Callable[[FnArgs], Any], artifacts: Artifacts, settings: Settings) -> None:
    """Calls the user's `run_fn`.

    Raises:
        UserCodeError: If it saves no model.
    """
    import keras

    arguments = _arguments(artifacts, settings, context.temp)
    keras.utils.set_random_seed(settings.seed)
    context.progress("running run_fn")
    run_fn(arguments)
    if not (artifacts.model.path / SERVING_FOLDER / "saved_model.pb").is_file():
        raise UserCodeError(
            f"Node '{context.node}': run_fn of {settings.module} has saved no model. Expected a SavedModel in fn_args.serving_model_dir.",
            hint="tf.saved_model.save(model, fn_args.serving_model_dir, signatures=...)",
        )
    artifacts.model.write_summary({"way": "run_fn"})
    artifacts.model_run.write_summary({"way": "run_fn", "seed": settings.seed})


def _arguments(artifacts: Artifacts, settings: Settings, temp: Path) -> FnArgs:
    graph = str(artifacts.transform_graph.path) if artifacts.transform_graph is not None else None
    schema_file = str(artifacts.schema.path / SCHEMA_FILE) if artifacts.schema is not None else None
    return FnArgs(
        working_dir=str(temp),
        train_files=_patterns(artifacts.examples, settings.train_splits),
        eval_files=_patterns(artifacts.examples, settings.eval_splits),
        train_steps=settings.train_steps,
        eval_steps=settings.eval_steps,
        schema_path=schema_file,
        schema_file=schema_file,
        transform_graph_path=graph,
        transform_output=graph,
        data_accessor=data_accessor(),
        serving_model_dir=str(artifacts.model.path / SERVING_FOLDER),
        eval_model_dir=str(artifacts.model.path / "Format-TFMA"),
        model_run_dir=str(artifacts.model_run.path),
        base_model=str(artifacts.base_model.path / SERVING_FOLDER) if artifacts.base_model is not None else None,
        hyperparameters=artifacts.tuned(),
        custom_config=settings.custom_config,
    )


def _patterns(examples: list[Examples], splits: tuple[str, ...]) -> list[str]:
    """Returns a pattern for the files of each split, after a look whether they are all there."""
    folders = [artifact.split_path(split) for artifact in examples for split in splits]
    for folder in folders:
        shard_files(folder)
    return [str(folder / "*") for folder in folders]
