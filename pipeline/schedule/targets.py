"""Where notifications go: how a person writes a target, what it must have, and how it is shown."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from pipeline.errors import UsageError, did_you_mean
from pipeline.schedule.model import Target
from pipeline.schedule.secrets import HIDDEN, check_reference

EVENTS = ("failed", "blocked", "not blessed", "pushed", "recovered")
"""What there is to hear of. `failed` comes when no try is left; `recovered` with the first run that is done after trouble."""

KINDS: dict[str, tuple[str, ...]] = {
    "command": (),
    "webhook": ("secret", "link"),
    "smtp": ("server", "from", "user", "password", "tls", "link"),
}
"""Kinds of targets, each with its options."""

SECRETS = ("secret", "password", "user")
_EXAMPLE = "--notify 'failed,blocked webhook https://example.org/hook secret=env:HOOK_SECRET'"


def read_target(text: str) -> Target:
    """Returns the target that a person has written: events, kind, address, options.

    Raises:
        UsageError: Naming what is wrong, and what is known.

    Example:
        >>> read_target("failed,not-blessed command 'logger -t cauce'").events
        ('failed', 'not blessed')
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--notify has an open quotation mark: {text!r}", hint=_EXAMPLE) from error
    if len(words) < 3:
        raise UsageError(f"--notify expects EVENTS KIND ADDRESS [OPTION=VALUE ...]. Received: {len(words)} words.", hint=_EXAMPLE)
    events, kind, address, *rest = words
    if kind not in KINDS:
        raise UsageError(f"--notify knows no kind '{kind}'.{did_you_mean(kind, KINDS)}", hint=_EXAMPLE)
    options = dict(_option(kind, word) for word in rest)
    _check(kind, address, options)
    return Target(kind, _events(events), address, options)


def _events(text: str) -> tuple[str, ...]:
    if text == "all":
        return EVENTS
    names = [name.strip().replace("-", " ") for name in text.split(",")]
    for name in names:
        if name not in EVENTS:
            known = ["all", *(event.replace(" ", "-") for event in EVENTS)]
            raise UsageError(f"--notify knows no event '{name}'.{did_you_mean(name, known)}", hint=f"Known: {', '.join(known)}.")
    return tuple(dict.fromkeys(names))


def _option(kind: str, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or name not in KINDS[kind]:
        known = f" It takes: {', '.join(KINDS[kind])}." if KINDS[kind] else " It takes none: quote the command with its arguments."
        raise UsageError(f"--notify {kind} has no option '{name}'.{known}", hint=_EXAMPLE)
    if name in SECRETS and not (name == "user" and not value.startswith(("env:", "file:"))):
        check_reference(value, f"--notify {kind} {name}=")
    return name, value


def _check(kind: str, address: str, options: dict[str, str]) -> None:
    if kind == "webhook" and not address.startswith(("env:", "file:")):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--notify webhook expects an address http://... or https://... Received: {shown_address(kind, address)!r}")
        if parts.username or parts.password:
            raise UsageError(
                "--notify webhook takes no password in its address.", hint="Put the whole address into the environment: env:NAME"
            )
    if kind == "smtp":
        if "@" not in address:
            raise UsageError(f"--notify smtp expects the address of a person. Received: {address!r}")
        missing = [name for name in ("server", "from") if not options.get(name)]
        if missing:
            raise UsageError(f"--notify smtp misses {' and '.join(missing)}.", hint="server=smtp.example.org:587 from=cauce@example.org")
        if options.get("tls", "starttls") not in ("starttls", "ssl", "none"):
            raise UsageError(f"--notify smtp tls= is one of: starttls, ssl, none. Received: {options['tls']!r}")


def references(target: Target) -> list[str]:
    """Returns where the secrets of a target are."""
    named = [value for name, value in target.options.items() if name in SECRETS and value.startswith(("env:", "file:"))]
    return named + ([target.address] if target.address.startswith(("env:", "file:")) and target.kind == "webhook" else [])


def shown_address(kind: str, address: str) -> str:
    """Returns an address without what may be secret: the path of a webhook often is."""
    if kind != "webhook" or address.startswith(("env:", "file:")):
        return address
    parts = urlsplit(address)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{f'/{HIDDEN}' if parts.path.strip('/') or parts.query else ''}"


def shown_target(target: Target) -> str:
    """Returns a target as lists show it."""
    return f"{', '.join(target.events)}: {target.kind} {shown_address(target.kind, target.address)}"
