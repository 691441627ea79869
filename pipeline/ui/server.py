"""Serves the pages: one process, on loopback unless another address is asked for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

from pipeline.errors import UsageError
from pipeline.ui.access import Access
from pipeline.ui.app import create_app
from pipeline.ui.site import Site

_GRACE_SECONDS = 2


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Opens a socket on an address; port 0 takes a free one.

    Raises:
        UsageError: If the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"'{host}' is no address of this machine: {error}", hint="Take the default: cauce ui") from error
    with server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(address)
            server.listen(128)
        except OSError as error:
            raise UsageError(
                f"{host}:{port} cannot be listened on: {error.strerror}.", hint="Another port: cauce ui --port 0 takes a free one"
            ) from error
        yield server


def address_of(server: socket.socket, host: str, access: Access) -> str:
    """Returns the address to open in a browser, with the token where one is needed."""
    port = server.getsockname()[1]
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/" + (f"?token={access.token}" if access.token else "")


def serve(site: Site, server: socket.socket, access: Access, started: Callable[[], None]) -> None:
    """Serves until it is stopped.

    Args:
        site: What is shown.
        server: An open socket.
        access: Who may come in.
        started: Called before the first request is answered.
    """
    import uvicorn

    config = uvicorn.Config(
        create_app(site, access),
        log_config=None,
        access_log=False,  # addresses may hold the token
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        lifespan="off",
    )
    started()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[server])
