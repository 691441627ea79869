"""How a notification reaches a command, a webhook or a mail server. Each may raise; the caller tries again."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shlex
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib import error as urllib_error
from urllib import request

from pipeline.errors import CauceError
from pipeline.schedule.model import Target
from pipeline.schedule.secrets import secret, variables
from pipeline.schedule.targets import references
from pipeline.version import __version__

_PATIENCE = 10.0
_COMMAND_PATIENCE = 60.0
_WIDTH = 300


class SendError(CauceError):
    """A notification did not arrive."""


def send(target: Target, body: Mapping[str, Any], *, key: str, now: int, folder: Path) -> None:
    """Sends a notification.

    Args:
        target: Where to.
        body: What; JSON values.
        key: The same for each try, so that a receiver can tell a repeated one.
        now: The moment, in milliseconds since 1970-01-01 UTC.
        folder: Where commands are run.

    Raises:
        SendError: If it did not arrive; the message repeats no secret.
        UsageError: If a secret is not there.
    """
    link = target.options.get("link")
    if link and body.get("run"):
        body = {**body, "links": {**body["links"], "page": f"{link.rstrip('/')}/runs/{body['run']}"}}
    {"command": _command, "webhook": _webhook, "smtp": _mail}[target.kind](target, body, key, now, folder)


def subject(body: Mapping[str, Any]) -> str:
    """Returns a notification in one line."""
    return f"cauce: {body['schedule']} {body['event']}"


def text(body: Mapping[str, Any]) -> str:
    """Returns a notification as a person reads it."""
    lines = [f"{body['schedule']} (pipeline {body['pipeline']}): {body['event']}", "", str(body["reason"]), ""]
    lines += [f"run      {body['run']}", f"because  {body['cause']}", f"due      {body['due']}"]
    if body.get("dropped"):
        lines.append(f"{body['dropped']} notifications before this one were dropped: too many at once.")
    return "\n".join([*lines, "", *(f"{name}: {link}" for name, link in body["links"].items())]) + "\n"


def signature(key: str, moment: str, body: bytes) -> str:
    """Returns what `X-Cauce-Signature` holds: HMAC-SHA256 of the time-stamp, a full stop, and the body."""
    return "sha256=" + hmac.new(key.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def _command(target: Target, body: Mapping[str, Any], key: str, now: int, folder: Path) -> None:
    words = shlex.split(target.address)
    named = {f"CAUCE_{name.upper()}": str(body[name]) for name in ("event", "schedule", "pipeline", "run", "reason")}
    hidden = variables(references(target))
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            words,
            input=f"{json.dumps(body)}\n",
            text=True,
            capture_output=True,
            timeout=_COMMAND_PATIENCE,
            cwd=folder if folder.is_dir() else None,
            env={**environment, **named, "CAUCE_KEY": key},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SendError(f"{words[0]} could not be run: {getattr(error, 'strerror', None) or error}") from error
    if done.returncode:
        raise SendError(f"{words[0]} ended with {done.returncode}: {' '.join((done.stderr or done.stdout).split())[:_WIDTH]}")


class _NoRedirects(request.HTTPRedirectHandler):
    """A signed body goes where it was addressed to, and nowhere else."""

    def redirect_request(self, *given: Any) -> None:
        return None


def _webhook(target: Target, body: Mapping[str, Any], key: str, now: int, folder: Path) -> None:
    address = secret(target.address) if target.address.startswith(("env:", "file:")) else target.address
    if not address.startswith(("http://", "https://")):
        raise SendError("its address does not begin with http:// or https://")
    content, moment = json.dumps(body).encode(), str(now // 1000)
    headers = {"Content-Type": "application/json", "User-Agent": f"cauce/{__version__}", "X-Cauce-Key": key, "X-Cauce-Timestamp": moment}
    if target.options.get("secret"):
        headers["X-Cauce-Signature"] = signature(secret(target.options["secret"]), moment, content)
    try:
        asked = request.Request(address, data=content, headers=headers, method="POST")
        with request.build_opener(_NoRedirects).open(asked, timeout=_PATIENCE) as answer:
            answer.read(1024)
    except urllib_error.HTTPError as error:
        raise SendError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SendError(f"the server cannot be reached: {getattr(error, 'reason', None) or error}") from error


def _mail(target: Target, body: Mapping[str, Any], key: str, now: int, folder: Path) -> None:
    options = target.options
    host, _, port = options["server"].partition(":")
    tls = options.get("tls", "starttls")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject(body), options["from"], target.address
    identity = hashlib.sha256(f"{key} {body['run']}".encode()).hexdigest()
    message["Message-ID"] = f"<{identity[:32]}@cauce>"
    message.set_content(text(body))
    try:
        kind = smtplib.SMTP_SSL if tls == "ssl" else smtplib.SMTP
        with kind(host, int(port or (465 if tls == "ssl" else 587)), timeout=_PATIENCE) as server:
            if tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if options.get("password"):
                user = options.get("user", options["from"])
                server.login(secret(user) if user.startswith(("env:", "file:")) else user, secret(options["password"]))
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise SendError(f"the mail server {options['server']}: {_said(error)}") from error


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        return f"{error.smtp_code} {said}"[:_WIDTH]
    return str(error)[:_WIDTH]
