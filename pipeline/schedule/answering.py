"""What the daemon answers on loopback: a health check, metrics, and webhooks that make ticks."""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets as random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pipeline.errors import CauceError, UsageError
from pipeline.schedule.clock import Clock
from pipeline.schedule.lease import Lease
from pipeline.schedule.logs import say
from pipeline.schedule.metrics import CONTENT_TYPE, metrics_text
from pipeline.schedule.model import NewTick, Schedule
from pipeline.schedule.reports import Reports
from pipeline.schedule.secrets import secret
from pipeline.schedule.state import State
from pipeline.schedule.triggers import Webhook

HOST = "127.0.0.1"
_LONGEST = 65_536
_PATIENCE = 5.0
_KEY = re.compile(r"[\w.:-]{1,80}")


@dataclass
class Answerer:
    """Answers on loopback while the daemon works.

    Attributes:
        state: The database.
        clock: The time.
        port: Where; 0 for any port that is free.
    """

    state: State
    clock: Clock
    port: int
    reports: Reports = field(init=False)
    _server: ThreadingHTTPServer | None = None
    _woken: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.reports = Reports(self.state.metadata_url, clock=self.clock)

    def begin(self, lease: Lease, woken: threading.Event) -> None:
        """Begins to answer.

        Raises:
            UsageError: If the port is in use.
        """
        self._woken = woken
        kind = type("Handler", (_Handler,), {"answerer": self})
        try:
            self._server = _Server((HOST, self.port), kind)
        except OSError as error:
            lease.release()
            raise UsageError(
                f"Port {self.port} of {HOST} is in use: {error.strerror}.", hint="Name another one with --port N; or 0, to answer nowhere."
            ) from error
        port = int(self._server.server_address[1])
        lease.announce(port)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 1.0}, name="answers", daemon=True).start()
        say("answers", f"health, metrics and webhooks: http://{HOST}:{port}/health", port=port)

    def step(self, *, idle: bool) -> None:
        """Does nothing; it answers in threads of its own."""

    def end(self) -> None:
        """Answers no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def health(self) -> tuple[int, dict[str, Any]]:
        """Returns status and body of the health check."""
        daemon = self.reports.daemon()
        return (200 if daemon.state == "working" else 503), daemon.as_json()

    def metrics(self) -> bytes:
        """Returns the metrics."""
        return metrics_text(self.reports.daemon(), self.reports.schedules())

    def hook(self, name: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Makes a tick; it is recorded before this returns, and only once for an `Idempotency-Key`."""
        schedule = next((known for known in self.state.schedules() if known.name == name), None)
        trigger = next((known for known in schedule.triggers if isinstance(known, Webhook)), None) if schedule else None
        if schedule is None or trigger is None or not _is_allowed(trigger, headers.get("Authorization", "")):
            # The same answer for all three: who has no token does not learn which schedules there are.
            return 401, {"error": "There is no webhook of this name, or the token is wrong. Expected: Authorization: Bearer TOKEN"}
        key = headers.get("Idempotency-Key") or random.token_hex(8)
        if not _KEY.fullmatch(key):
            return 400, {"error": "Idempotency-Key may hold letters, digits, '_', '-', '.' and ':', at most 80."}
        return 202, self._record(schedule, trigger, key)

    def _record(self, schedule: Schedule, trigger: Webhook, key: str) -> dict[str, Any]:
        now = self.clock.now()
        added = self.state.add_ticks(schedule.id, [NewTick(f"{trigger.key}|{key}", trigger.key, now, "a webhook was called")], now)
        self._woken.set()
        return {"schedule": schedule.name, "tick": added[0] if added else None, "new": bool(added), "key": key}


def _is_allowed(trigger: Webhook, header: str) -> bool:
    try:
        token = secret(trigger.token)
    except UsageError as error:
        say("webhook", f"a webhook was refused: {error.message}", level=logging.ERROR)
        return False
    return bool(token) and hmac.compare_digest(header.removeprefix("Bearer ").strip().encode(), token.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leaves a caller that went away without an answer, and without a traceback."""


class _Handler(BaseHTTPRequestHandler):
    answerer: ClassVar[Answerer]
    timeout = _PATIENCE
    server_version = "cauce"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/health":
            self._guarded(self.answerer.health)
        elif path == "/metrics":
            try:
                self._answer(200, self.answerer.metrics(), CONTENT_TYPE)
            except CauceError as error:
                self._answer_json(503, {"error": error.message})
        else:
            self._answer_json(404, {"error": "Expected: GET /health, GET /metrics, POST /hooks/NAME"})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LONGEST:
            self._answer_json(413, {"error": f"A webhook takes at most {_LONGEST} bytes."})
            return
        self.rfile.read(int(length))
        if not path.startswith("/hooks/"):
            self._answer_json(404, {"error": "Expected: POST /hooks/NAME"})
            return
        wanted = {name: self.headers.get(name, "") for name in ("Authorization", "Idempotency-Key")}
        self._guarded(lambda: self.answerer.hook(path.removeprefix("/hooks/"), wanted))

    def _guarded(self, make: Any) -> None:
        try:
            status, body = make()
        except CauceError as error:
            status, body = 503, {"error": error.message}
        self._answer_json(status, body)

    def _answer_json(self, status: int, body: Mapping[str, Any]) -> None:
        self._answer(status, json.dumps(body).encode() + b"\n", "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing for each request."""
