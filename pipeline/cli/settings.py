"""`cauce config`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.common import console, json_option, print_json, store_options, table
from pipeline.config import load_settings
from pipeline.metadata import redacted


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True))
@store_options
@json_option
def config(path: Path | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show each setting and where it comes from: cauce.toml, then CAUCE_* of the environment, then flags.

    PATH is a definition or a folder; default: where you stand.

    \b
    Examples:
      cauce config
      CAUCE_PARALLEL=1 cauce config examples/taxi
    """
    settings = load_settings(path or Path.cwd(), {"root": root, "metadata": metadata})
    values = {name: (_shown(name, setting.value), setting.origin) for name, setting in settings.items()}
    if as_json:
        print_json([{"name": name, "value": value, "origin": origin} for name, (value, origin) in values.items()])
        return
    rows = [[name, " ".join(value) if isinstance(value, list) else str(value), origin] for name, (value, origin) in values.items()]
    console().print(table(["setting", "value", "from"], rows))


def _shown(name: str, value: object) -> object:
    if name == "metadata":
        return redacted(str(value))
    return list(value) if isinstance(value, tuple) else value
