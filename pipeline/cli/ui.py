"""`cauce ui` and `cauce report`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.common import json_option, open_store, print_json, store_options
from pipeline.errors import UsageError
from pipeline.lineage.finding import find_run
from pipeline.metadata import MetadataStore
from pipeline.storage import Storage
from pipeline.wording import size

_PORT = 8484


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=_PORT, show_default=True, help="Port; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Others than loopback ask for a token.")
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="A further name that browsers may use.")
@store_options
@json_option
def ui(port: int, host: str, names: tuple[str, ...], root: str | None, metadata: str | None, as_json: bool) -> None:
    """Show runs, artifacts, lineage and models in a browser, until Ctrl-C.

    The pages only read. They are served to this machine alone, unless --host names another address; then each visitor needs the token
    that is printed.

    \b
    Examples:
      cauce ui
      cauce ui --port 0 --root /data/cauce_root
      cauce ui --host 0.0.0.0 --allow-host ml.example.org
    """
    _installed("ui")
    from pipeline.ui.access import Access
    from pipeline.ui.server import address_of, listening, serve
    from pipeline.ui.site import Site

    opened = open_store(root, metadata)
    access = Access.to(host, names)
    with listening(host, port) as server:
        address = address_of(server, host, access)

        def started() -> None:
            if access.token:
                click.echo("Others can reach it. Who has the token sees all runs and artifacts; nothing is encrypted.", err=True)
            click.echo("Ctrl-C stops it.", err=True)
            if as_json:
                print_json({"address": address, "token": access.token})
            else:
                click.echo(address)

        serve(Site(opened.store, opened.storage, opened.settings.metadata_url), server, access, started)


def _installed(command: str) -> None:
    """Checks that what makes pages is installed.

    Raises:
        UsageError: If it is not.
    """
    try:
        import jinja2  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(f"`cauce {command}` needs the package '{error.name}'.", hint="Install it: pip install cauce") from error


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="The file; default: <RUN>.html")
@store_options
@json_option
def report(run_id: str | None, file: Path | None, root: str | None, metadata: str | None, as_json: bool) -> None:
    """Write RUN (an id, the start of one, or latest) into one HTML file that opens in any browser, without a network.

    It holds the graph, what ran and why, the decisions, and what is inside the artifacts.

    \b
    Examples:
      cauce report
      cauce report 20260131-2359 -o report.html
    """
    opened = open_store(root, metadata)
    found = find_run(opened.store, run_id)
    file = file or Path(f"{found.id}.html")
    written = write(opened.store, opened.storage, found.id, file)
    if as_json:
        print_json({"run": found.id, "uri": str(file.resolve()), "size_bytes": written})


def write(store: MetadataStore, storage: Storage, run: str, file: Path) -> int:
    """Writes the report of a run and says where it is; returns its bytes.

    Raises:
        UsageError: If what makes pages is not installed.
        StorageError: If the file cannot be written.
    """
    _installed("report")
    from pipeline.ui.report import write_report
    from pipeline.ui.site import Site

    written = write_report(Site(store, storage), run, file)
    click.echo(f"report {file} ({size(written)})", err=True)
    return written
