"""The hand-over of requests between the worker processes of one machine.

Several workers listen on one port, and nothing in front of them is sticky: a poll, a POST or the WebSocket of an
upgrade may come to a worker that does not hold its session. The session's id begins with the tag of the worker that
does; whoever gets such a request opens that worker's Unix socket, and carries the request's ASGI events over, both
ways (`pipes`). The session's worker serves it as any other, so that limits, headers, errors and the other side's
address are the same wherever a request comes in. A request is handed over once: who gets it serves it, or refuses.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import socket
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from walkie_signal.transport import hand_over_folder, requests
from walkie_signal.transport.hand_over_folder import Unusable
from walkie_signal.transport.pipes import HEAD, Event, Pipe
from walkie_signal.transport.requests import Gone, Receive, Refusal, Request, Scope, Send
from walkie_signal.transport.websocket import FAREWELL

log = logging.getLogger("walkie_signal.transport")

SID = re.compile(r"([A-Za-z0-9_-]{8})[A-Za-z0-9_-]{24}")
"""A session's id: the tag of its worker, and 144 random bits."""

PATIENCE = 2.0
"""Seconds that the other worker has to take a request: it may be stopped, or busy."""

READY = "ready/1"
"""The type of the first frame, with the format's version: the worker runs. To connect takes the kernel alone."""

CARRIED = ("type", "path", "root_path", "scheme", "method", "http_version", "headers")
"""Keys of a scope that are carried as they are."""

HANDED_OVER = "walkie_signal.handed_over"
"""The key of a scope that says it was handed over, and is not to be once more."""

UNAVAILABLE = Refusal(503, 1, "Session unavailable")


class HandOver:
    """Hands requests over to other workers, and takes those of sessions here.

    Args:
        serve: Serves a request that was handed over, an ASGI app.
        limit: Bytes of a message, or of a request's body, that `serve` takes.
        stall: Seconds that another worker may leave unread what it is sent.
    """

    def __init__(
        self, serve: Callable[[Scope, Receive, Send], Awaitable[None]], limit: int, stall: float
    ) -> None:
        self._serve = serve
        self._limit = limit
        self._stall = stall
        self._folder: Path | None = None
        self._unusable = False
        self._tag = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._listening: asyncio.Task[asyncio.AbstractServer] | None = None
        self._remove: Callable[[], Any] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> str:
        """Take requests from now on; returns the tag that the ids of sessions have to begin with, if any."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a host's tests have one loop each
            self._forget()
            where = self._where()
            if where is not None:
                hand_over_folder.remove_stale(where)
                self._listen(where, loop)
            self._loop = loop
        return self._tag

    def _where(self) -> Path | None:
        if self._folder is None and not self._unusable:
            try:
                self._folder = hand_over_folder.folder()
            except Unusable as reason:
                self._give_up(reason)
        return self._folder

    def _give_up(self, reason: Unusable) -> None:
        self._folder, self._unusable = None, True
        log.warning(
            "requests are not handed over to other workers, so that peers that poll need sticky sessions: %s",
            reason,
        )

    def _listen(self, where: Path, loop: asyncio.AbstractEventLoop) -> None:
        tag = secrets.token_urlsafe(6)
        path = hand_over_folder.socket_path(where, tag)
        try:
            self._listener = hand_over_folder.listener(path)
        except Unusable as reason:
            self._give_up(reason)
            return
        self._tag = tag
        # Also when the process ends without having ended this.
        self._remove = weakref.finalize(self, hand_over_folder.remove, path, os.getpid())
        self._listening = loop.create_task(
            loop.create_unix_server(self._accepted, sock=self._listener, backlog=hand_over_folder.BACKLOG)
        )

    def _forget(self) -> None:
        self._remove()
        if self._listener is not None:
            self._listener.close()
        self._tag, self._loop, self._listener, self._listening = "", None, None, None

    async def end(self) -> None:
        """Take no more requests, and end those under way; what was last written still goes out."""
        if self._listening is not None and self._loop is asyncio.get_running_loop():
            (await self._listening).close()
        self._forget()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    # Where the session is

    def _accepted(self) -> Pipe:
        return Pipe(largest=self._limit + HEAD, made=self._connected)

    def _connected(self, pipe: Pipe) -> None:
        task = asyncio.create_task(self._take(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, pipe: Pipe) -> None:
        """Serve the request that another worker hands over."""
        try:
            await pipe.send({"type": READY})
            scope = await asyncio.wait_for(pipe.receive(), PATIENCE)
            if scope is not None:
                arrived = _Arrived(scope, pipe)
                await self._serve(arrived.scope, arrived.receive, arrived.send)
        except (Gone, asyncio.TimeoutError) as reason:
            log.debug("a request that was handed over has ended: %r", reason)
        except Exception:
            log.exception("a fault in a request that was handed over")
        finally:
            pipe.close()

    # Where the request came in

    async def pass_on(self, request: Request, send: Send) -> Refusal | None:
        """Let the worker that holds the session serve a request; returns how to refuse it where none does."""
        parsed = SID.fullmatch(request.query["sid"])
        if parsed is None or parsed[1] == self._tag or HANDED_OVER in request.scope:
            return requests.UNKNOWN_SID
        where = self._where()
        if where is None:
            return requests.UNKNOWN_SID
        pipe = Pipe(stall=self._stall)
        path = hand_over_folder.socket_path(where, parsed[1])
        try:
            refusal = await asyncio.wait_for(_reach(pipe, path), PATIENCE)
            return refusal or await self._carry(pipe, request, send)
        except asyncio.TimeoutError:
            return UNAVAILABLE
        finally:
            pipe.close()

    async def _carry(self, pipe: Pipe, request: Request, send: Send) -> Refusal | None:
        with suppress(Gone):
            await pipe.send(_departing(request.scope))
        answer = asyncio.Event()
        down = asyncio.create_task(_down(pipe, send, answer))
        up = asyncio.create_task(_up(pipe, request.receive, self._limit))
        try:
            ends: set[asyncio.Future[Any]] = {down, up, pipe.gone}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not _left(up):
                # A WebSocket that takes no more is closed; an answer that nobody takes is the web server's to end.
                patience = FAREWELL if request.scope["type"] == "websocket" else None
                await asyncio.wait({down}, timeout=patience)
            return None if answer.is_set() or _left(up) else requests.UNKNOWN_SID
        finally:
            down.cancel()
            up.cancel()
            await asyncio.wait({down, up})


async def _reach(pipe: Pipe, path: Path) -> Refusal | None:
    """Connect to another worker, and wait until it takes a request; returns how to refuse where it doesn't."""
    try:
        await asyncio.get_running_loop().create_unix_connection(lambda: pipe, str(path))
    except ConnectionRefusedError:  # it was killed
        hand_over_folder.remove(path, os.getpid())
        return requests.UNKNOWN_SID
    except FileNotFoundError:
        return requests.UNKNOWN_SID
    except OSError as error:
        log.debug("a worker can't be reached: %r", error)
        return UNAVAILABLE
    first = await pipe.receive()
    return None if first is not None and first["type"] == READY else UNAVAILABLE


async def _up(pipe: Pipe, receive: Receive, limit: int) -> bool:
    """Carry what comes from the other side; returns whether it has left, or else the session's worker has."""
    event: Event = {"type": ""}
    try:
        while not event["type"].endswith(".disconnect"):
            event = await receive()
            await pipe.send(_cut(event, limit))
    except Gone:
        return False
    except Exception as error:  # noqa: BLE001 - each server has its own way to say that the other side is gone
        log.debug("nothing more is to be received: %r", error)
    return True


def _left(up: asyncio.Task[bool]) -> bool:
    return up.done() and up.result()


async def _down(pipe: Pipe, send: Send, answer: asyncio.Event) -> None:
    """Carry what the session's worker sends."""
    try:
        while (event := await pipe.receive()) is not None:
            answer.set()
            await send(event)
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("what another worker sent was not taken: %r", error)


def _cut(event: Event, limit: int) -> Event:
    """Cut what is over the limit to a little over it: it is refused all the same, with no need to carry it."""
    for key in ("body", "bytes"):
        if len(event.get(key) or b"") > limit:
            return {**event, key: event[key][: limit + 1]}
    text = event.get("text") or ""
    if len(text) > limit // 4 and len(encoded := text.encode("utf-8", "surrogatepass")) > limit:
        return {**event, "text": encoded[: limit + 4].decode("utf-8", "ignore")}
    return event


def _departing(scope: Scope) -> Event:
    """Return what is carried of a scope."""
    carried = {key: scope[key] for key in CARRIED if key in scope}
    carried["query_string"] = scope.get("query_string", b"").decode("latin-1")
    return {**carried, "client": scope.get("client"), "server": scope.get("server")}


class _Arrived:
    """A request that another worker has handed over, as an ASGI server would have it.

    Its `send` is the pipe's own, for `websocket.sends_eagerly` to know.
    """

    def __init__(self, carried: Event, pipe: Pipe) -> None:
        self.scope: Scope = {
            **carried,
            "asgi": {"version": "3.0"},
            "query_string": carried["query_string"].encode("latin-1"),
            "client": carried["client"] and tuple(carried["client"]),
            "server": carried["server"] and tuple(carried["server"]),
            HANDED_OVER: True,
        }
        self._pipe = pipe
        self._kind: str = carried["type"]
        self._connecting = self._kind == "websocket"
        self.send: Send = pipe.send

    async def receive(self) -> Event:
        """Return the next event; where the other worker has gone, that the other side has left."""
        if self._connecting:
            self._connecting = False
            return {"type": "websocket.connect"}
        return await self._pipe.receive() or {"type": f"{self._kind}.disconnect", "code": 1006}
