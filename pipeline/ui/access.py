"""Who may see the pages, and what a browser may do with them.

A page must not be readable from another site: the name in the `Host` header is checked (against DNS rebinding), and an address that
others can reach asks for a token. A page must not run what data or names bring along: the policy allows scripts and styles from
our own files only.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}
COOKIE = "cauce_token"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_METHODS = ("GET", "HEAD")
_NO_TOKEN = "This address needs a token. Open the link that `cauce ui` printed, or send the header `Authorization: Bearer TOKEN`.\n"


@dataclass(frozen=True)
class Access:
    """Who may see the pages.

    Attributes:
        names: Names of this machine that a `Host` header may have, in lower case.
        any_address: Whether it may be any IP address, as where the server listens on all of them.
        token: What a visitor has to show; None on loopback.
    """

    names: frozenset[str] = frozenset(_LOCAL_NAMES)
    any_address: bool = False
    token: str | None = None

    @classmethod
    def to(cls, host: str, more: tuple[str, ...] = ()) -> Access:
        """Returns the access to a server that listens on an address; one that is not loopback gets a token of its own.

        Args:
            host: The address.
            more: Further names under which it is reached.
        """
        if is_loopback(host):
            return cls(frozenset({*_LOCAL_NAMES, host.lower(), *map(str.lower, more)}))
        names = frozenset({*_LOCAL_NAMES, host.lower(), socket.gethostname().lower(), socket.getfqdn().lower(), *map(str.lower, more)})
        return cls(names, any_address=host in ("0.0.0.0", "::"), token=secrets.token_urlsafe(24))

    def knows(self, header: str) -> bool:
        """Tells whether a `Host` header names this machine."""
        name = header.lower()
        name = name[1 : name.find("]")] if name.startswith("[") else name.rsplit(":", 1)[0]
        return name in self.names or (self.any_address and _is_address(name))

    def admits(self, given: str | None) -> bool:
        """Tells whether a visitor who shows this may come in; takes the same time for any wrong token."""
        return self.token is None or (given is not None and hmac.compare_digest(given.encode(), self.token.encode()))


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach an address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Guard:
    """Stands before an application: lets in who may come in, and adds the headers that bind the browser.

    Args:
        app: The application.
        access: Who may come in.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def send_bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(Request(scope))
        await (self.app if answer is None else answer)(scope, receive, send_bound)

    def _answer(self, request: Request) -> Response | None:
        """Returns what a visitor gets who is not let in, or comes with a token for the first time; None lets in."""
        if not self.access.knows(request.headers.get("host", "")):
            return PlainTextResponse("Unknown host name. To allow it: cauce ui --allow-host NAME\n", status_code=421)
        if request.method not in _METHODS:
            return PlainTextResponse("These pages only read.\n", status_code=405, headers={"allow": ", ".join(_METHODS)})
        if self.access.token is None:
            return None
        if "token" in request.query_params and self.access.admits(request.query_params["token"]):
            return _welcome(request, self.access.token)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.access.admits(request.cookies.get(COOKIE)) or self.access.admits(bearer):
            return None
        return PlainTextResponse(_NO_TOKEN, status_code=401, headers={"www-authenticate": "Bearer"})


def _welcome(request: Request, token: str) -> Response:
    """Returns a page that keeps the token as a cookie and goes on without it in the address.

    A redirect would not do: after a click on another site the browser would follow it without a cookie that is SameSite=Strict.
    """
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    onward = "/" + quote(request.url.path.lstrip("/"))  # with two slashes it would be another host
    target = escape(f"{onward}?{urlencode(rest)}" if rest else onward)
    page = HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>cauce</title><meta http-equiv="refresh" content="0;url={target}">'
    )
    page.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return page
