"""The command `cauce`: its verbs, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

import click

from pipeline.errors import CauceError
from pipeline.version import __version__

# Verb -> (module, object, one line of help). The help stands here so that `--help` imports no command.
COMMANDS = {
    "new": ("new", "new", "Make a project: a definition, features, a model, sample data."),
    "run": ("run", "run", "Run a pipeline."),
    "plan": ("run", "plan", "Show what a run would do, and why, without doing it."),
    "resume": ("run", "resume", "Go on with a run that failed or was interrupted."),
    "schedule": ("schedule", "schedule", "Run pipelines by the clock, on new data, on drift; unattended."),
    "why": ("why", "why", "Say why a node ran or not, why a model was pushed or not."),
    "diff": ("diff", "diff", "Show what is different between two runs, or two models."),
    "runs": ("runs", "runs", "List, search and sort runs, show one."),
    "nodes": ("runs", "nodes", "List the nodes of a run."),
    "logs": ("runs", "logs", "Print the log of a node."),
    "executions": ("executions", "executions", "List executions, by code, library, parameter, verdict."),
    "artifacts": ("artifacts", "artifacts", "List artifacts, show what is inside one."),
    "lineage": ("lineage", "lineage", "Show what something was made from, and used for; export it."),
    "search": ("search", "search", "Find whatever has a text in its id, name, path or digest."),
    "schema": ("schema", "schema", "Review an inferred schema against the curated one."),
    "models": ("models", "models", "List pushed models, roll back to an earlier one."),
    "ui": ("ui", "ui", "Show runs, artifacts, lineage and models in a browser."),
    "report": ("ui", "report", "Write a run into one file that opens in any browser."),
    "tensorboard": ("tensorboard", "tensorboard", "Open the TensorBoard logs of runs."),
    "gc": ("gc", "gc", "Remove artifacts that nothing needs any more."),
    "config": ("settings", "config", "Show each setting and where it comes from."),
    "doctor": ("doctor", "doctor", "Check the installation, the store and the root folder."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are invoked."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(f"pipeline.cli.{module}"), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            from pipeline.errors import did_you_mean

            raise click.UsageError(f"There is no command '{args[0]}'.{did_you_mean(args[0], COMMANDS)}") from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cauce")
def cauce() -> None:
    """Turn data into a trusted, deployed model, again and again.

    Exit codes: 0 done, 1 a node failed, 2 wrong use, 3 blocked by data validation, 4 not pushed (--require-push), 130 interrupted.
    """


def _terminated(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and leaves with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cauce.main(args=arguments, prog_name="cauce", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except CauceError as error:
        word = "error:" if os.environ.get("NO_COLOR") else click.style("error:", fg="red", bold=True)
        click.echo(f"{word} {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
