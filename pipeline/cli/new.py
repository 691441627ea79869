"""`cauce new`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from pipeline.cli.common import json_option, print_json
from pipeline.errors import UsageError

TEMPLATE = Path(__file__).parent / "template"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def new(folder: Path, as_json: bool) -> None:
    """Make a project in FOLDER: a definition, features, a model and sample data that run as they are.

    \b
    Example:
      cauce new penguins
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already{' and is not empty' if folder.is_dir() else ''}.", hint="Name a folder that is new or empty."
        )
    shutil.copytree(TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if as_json:
        print_json({"folder": str(folder.resolve()), "files": files})
        return
    click.echo(f"Made {folder} with {', '.join(files)}.")
    click.echo(f"next: cauce run {folder}")
