"""Real servers on loopback for the tests: a receiver of webhooks, and one of mail."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """What a server got.

    Attributes:
        port: Where it listens.
        answers: The statuses that it answers next; then 200.
        requests: Path, headers and body of each request.
        mails: The lines of each mail.
        logins: What mailers said to authenticate.
    """

    port: int = 0
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@contextmanager
def webhooks(*answers: int) -> Iterator[Received]:
    """Runs a receiver of webhooks as long as the block lasts."""
    received = Received(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.path, dict(self.headers), body))
            status = received.answers.pop(0) if received.answers else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{received.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        received.port = port
        yield received


@contextmanager
def mail(*, refuse: bool = False) -> Iterator[Received]:
    """Runs a mail server, without TLS, as long as the block lasts; it refuses all mail if it is told to."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail.test ESMTP")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line.split()[0].upper()
                if verb == "EHLO":
                    self._say("250-mail.test\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    received.logins.append(line.split()[-1])
                    self._say("235 welcome")
                elif verb == "DATA":
                    self._say("354 go on")
                    received.mails.append("\n".join(iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")))
                    self._say("250 done")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("550 no such person" if refuse and verb == "RCPT" else "250 good")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _served(server) as port:
        received.port = port
        yield received


@contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
