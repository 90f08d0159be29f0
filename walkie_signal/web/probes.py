"""Answers of ``walkie-signal serve`` beside the Socket.IO endpoint: whether it runs, and whether it is ready."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any


class Probes:
    """An ASGI app that only answers ``/healthz`` and ``/readyz``, with one word.

    Args:
        ready: Tells whether a peer that connects now can join a room.
    """

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - an ASGI app
        """Serve one connection."""
        if scope["type"] == "http":
            await self._answer(send, *self._answer_to(scope["method"], scope["path"]))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            raise NotImplementedError(scope["type"])

    def _answer_to(self, method: str, path: str) -> tuple[HTTPStatus, str]:
        if path not in ("/healthz", "/readyz"):
            return HTTPStatus.NOT_FOUND, "Not Found"
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed"
        if path == "/readyz" and not self._ready():
            return HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"
        return HTTPStatus.OK, "ok"

    async def _answer(self, send: Any, status: HTTPStatus, word: str) -> None:
        body = f"{word}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": body})
