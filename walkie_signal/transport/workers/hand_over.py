"""The hand-over of requests between the worker processes of one machine.

Several workers listen on one port, without sticky sessions in front of them: a poll, a POST or the WebSocket of an
upgrade may come to a worker that does not hold its session. A session's id begins with the tag of its worker. The
worker that gets the request opens the Unix socket of the session's worker, and carries the request's ASGI events
over, both ways (`pipes`). The session's worker serves it like any other request, so limits, headers, errors and the
client's address are the same wherever a request comes in. A request is only handed over once: the worker that gets
it serves or refuses it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from walkie_signal.transport.engineio import http
from walkie_signal.transport.engineio.http import GoneError, Receive, Refusal, Request, Scope, Send
from walkie_signal.transport.engineio.websocket import FAREWELL
from walkie_signal.transport.workers import folder
from walkie_signal.transport.workers.carriage import Carriage
from walkie_signal.transport.workers.doorway import Doorway
from walkie_signal.transport.workers.pipes import HEAD, Event, Pipe

log = logging.getLogger("walkie_signal.transport")

SID = re.compile(r"([A-Za-z0-9_-]{8})[A-Za-z0-9_-]{24}")
"""A session's id: the tag of its worker, and 144 random bits."""

PATIENCE = 2.0
"""Seconds that the other worker has to take a request; it may stand still, or be busy."""

AGAIN = 0.1
"""Seconds between two tries to reach it after the folder of the sockets was removed."""

READY = "ready/1"
"""The type of the first frame, with the format's version. It shows that the worker runs; to connect only takes the
kernel."""

HANDED_OVER = "walkie_signal.handed_over"
"""The key in a scope that says that the request was handed over, so that it is not handed over again."""

UNAVAILABLE = Refusal(503, 1, "Session unavailable")


class HandOver:
    """Hands requests over to other workers, and takes requests for sessions of this worker.

    Args:
        serve: An ASGI app that serves a request that was handed over.
        limit: Most bytes of a message, or of a request's body, that `serve` takes.
        stall_timeout: Most seconds that another worker may leave unread what it is sent.

    Attributes:
        ending: Whether this worker is about to end.
    """

    def __init__(
        self, serve: Callable[[Scope, Receive, Send], Awaitable[None]], limit: int, stall_timeout: float
    ) -> None:
        self._serve = serve
        self._limit = limit
        self._stall_timeout = stall_timeout
        self._doorway = Doorway(self._accepted)
        self._tasks: set[asyncio.Task[None]] = set()
        self._carriages: set[Carriage] = set()
        self.ending = False

    def start(self) -> str:
        """Take requests from now on; returns the tag that session ids have to begin with, or an empty text."""
        if self._doorway.open():
            self.ending = False
        return self._doorway.tag

    async def end(self) -> None:
        """Take no more requests, and end those under way; what was written last is still sent."""
        await self._doorway.close()
        self.ending = False
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    # In the worker that holds the session

    def _accepted(self) -> Pipe:
        return Pipe(largest=self._limit + HEAD, made=self._connected)

    def _connected(self, pipe: Pipe) -> None:
        task = asyncio.create_task(self._serve_carried(pipe))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_carried(self, pipe: Pipe) -> None:
        """Serve the request that another worker hands over."""
        try:
            await pipe.send({"type": READY})
            scope = await asyncio.wait_for(pipe.receive(), PATIENCE)
            if scope is not None:
                arrived = _Arrived(scope, pipe, self)
                await self._serve(arrived.scope, arrived.receive, arrived.send)
        except (GoneError, asyncio.TimeoutError) as reason:
            log.debug("a request that was handed over has ended: %r", reason)
        except Exception:
            log.exception("a fault in a request that was handed over")
        finally:
            pipe.close()

    # In the worker where the request came in

    async def pass_on(self, request: Request, send: Send) -> Refusal | None:
        """Let the worker that holds the session serve a request; returns the refusal if no worker does."""
        parsed = SID.fullmatch(request.query["sid"])
        if parsed is None or parsed[1] == self._doorway.tag or HANDED_OVER in request.scope:
            return http.UNKNOWN_SID
        pipe = Pipe(stall_timeout=self._stall_timeout)
        try:
            refusal = await asyncio.wait_for(self._reach(pipe, parsed[1]), PATIENCE)
        except asyncio.TimeoutError:
            refusal = UNAVAILABLE
        except BaseException:
            pipe.close()
            raise
        try:
            return refusal or await self._carry(Carriage(pipe, request, send, self._limit))
        finally:
            pipe.close()

    async def _reach(self, pipe: Pipe, tag: str) -> Refusal | None:
        """Connect to the worker with a tag; if somebody has just removed the folder, try until it is back."""
        refusal: Refusal | None = http.UNKNOWN_SID
        while (where := self._doorway.where) is not None:
            refusal = await _reach(pipe, folder.socket_path(where, tag))
            if refusal is not http.UNKNOWN_SID or not self._doorway.was_removed():
                break
            await asyncio.sleep(AGAIN)
        return refusal

    async def _carry(self, carriage: Carriage) -> Refusal | None:
        self._carriages.add(carriage)
        try:
            return None if await carriage.run() else http.UNKNOWN_SID
        finally:
            self._carriages.discard(carriage)

    def hand_back(self) -> None:
        """Tell the sessions' workers that this worker is about to end; they close what it carries."""
        self.ending = True
        for carriage in self._carriages:
            carriage.hand_back()

    async def handed_back(self) -> None:
        """Wait until no WebSocket is carried any more, for at most `PATIENCE`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while left := {carriage.over for carriage in self._carriages if carriage.is_websocket}:
            if loop.time() >= deadline:
                break
            await asyncio.wait(left, timeout=deadline - loop.time())
        self.hand_back()  # new polls come until the end; this gets each answered, so that none is cut off


async def _reach(pipe: Pipe, path: Path) -> Refusal | None:
    """Connect to another worker, and wait until it takes a request; returns the refusal if it does not."""
    try:
        await asyncio.get_running_loop().create_unix_connection(lambda: pipe, str(path))
    except ConnectionRefusedError:  # the worker was killed
        folder.remove(path, os.getpid())
        return http.UNKNOWN_SID
    except FileNotFoundError:
        return http.UNKNOWN_SID
    except OSError as error:
        log.debug("a worker can't be reached: %r", error)
        return UNAVAILABLE
    first = await pipe.receive()
    return None if first is not None and first["type"] == READY else UNAVAILABLE


class _Arrived:
    """A request that another worker has handed over, in the form of an ASGI server.

    Its `send` is the pipe's own method, so that `websocket.sends_eagerly` recognises it.
    """

    def __init__(self, carried: Event, pipe: Pipe, hand_over: HandOver) -> None:
        self.scope: Scope = {
            **carried,
            "asgi": {"version": "3.0"},
            "query_string": carried["query_string"].encode("latin-1"),
            "client": carried["client"] and tuple(carried["client"]),
            "server": carried["server"] and tuple(carried["server"]),
            HANDED_OVER: True,
        }
        self._pipe = pipe
        self._hand_over = hand_over
        self._kind: str = carried["type"]
        self._connecting = self._kind == "websocket"
        self.send: Send = pipe.send

    async def receive(self) -> Event:
        """Return the next event; if the other worker has gone, return that the client has left."""
        if self._connecting:
            self._connecting = False
            return {"type": "websocket.connect"}
        event = await self._pipe.receive()
        while event is not None and event["type"] == http.PARTING and self._waits_for_the_end:
            event = await self._pipe.receive()
        return event or {"type": f"{self._kind}.disconnect", "code": 1006}

    @property
    def _waits_for_the_end(self) -> bool:
        """Whether a poll has to wait for this worker's own end, which answers it: no later poll gets here."""
        return self._kind == "http" and self._hand_over.ending
