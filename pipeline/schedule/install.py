"""What makes the machine start the daemon: a unit of systemd, or a line of a crontab."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UsageError

UNIT = "cauce-schedule.service"


def command(options: list[str]) -> list[str]:
    """Returns the command of the daemon."""
    return [sys.executable, "-P", "-m", "pipeline", "schedule", "run", *options]


def unit_text(folder: Path, environment: Mapping[str, str], options: list[str], *, system: bool) -> str:
    """Returns the unit: it is started again whenever it ends, and its runs are stopped with it, to be resumed by the next daemon."""
    settings = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in environment.items())
    return f"""[Unit]
Description=cauce: runs pipelines by schedule
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
WorkingDirectory={_escaped(str(folder))}
{settings}# Secrets of notifications and webhooks, NAME=VALUE a line; the file may be missing.
EnvironmentFile=-{_escaped(str(folder / "cauce.env"))}
ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in command(options))}
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec=60
Nice=5

[Install]
WantedBy={"multi-user" if system else "default"}.target
"""


def crontab_line(folder: Path, environment: Mapping[str, str], options: list[str]) -> str:
    """Returns the line for those who have no systemd: each minute, what is due is done."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    once = shlex.join([*command(options), "--once"])
    # A percent sign ends a crontab's command.
    return f"* * * * * cd {shlex.quote(str(folder))} && {settings} {once}".replace("%", r"\%")


def unit_file(*, system: bool) -> Path:
    """Returns where the unit belongs."""
    if system:
        return Path("/etc/systemd/system") / UNIT
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT


def next_steps(*, system: bool) -> list[str]:
    """Returns the commands that make systemd take the unit."""
    control = "systemctl" if system else "systemctl --user"
    steps = [f"{control} daemon-reload", f"{control} enable --now {UNIT}"]
    # Without it the units of a user end when he logs out.
    return steps if system else [*steps, f"loginctl enable-linger {os.environ.get('USER', '$USER')}"]


def write_unit(file: Path, text: str, *, force: bool) -> bool:
    """Writes the unit; returns whether it changed.

    Raises:
        UsageError: If there is another one, or it cannot be written.
    """
    try:
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            return False
        if file.exists() and not force:
            raise UsageError(f"{file} is there already, and is different.", hint="Look at it, and add --force to write it anew.")
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        hint = "Write it elsewhere with --output FILE, or print it: --print"
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint=hint) from error
    return True


def _quoted(word: str) -> str:
    text = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if any(letter in text for letter in " \"'\\;") else text


def _escaped(word: str) -> str:
    return word.replace("%", "%%")
