"""What stands in front of two workers of one port and is the opposite of sticky: each request to the other one.

The kernel gives a connection to whichever worker is quicker. So connections are opened until both workers have
taken some, each is asked for the worker at its other end (the id of a session begins with its worker's tag), and a
request goes out on a connection to the worker whose turn it is.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from cluster.crowds import STARTED, TAG
from support.waiting import eventually

FRESH = 1.0
"""Seconds that a connection may wait for its request; uvicorn closes it after 5, gunicorn after 2."""

ATTEMPTS = 200
"""Connections after which a worker that has taken none is taken to be absent."""

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Line:
    """A connection to a worker."""

    worker: str
    opened: float
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(frozen=True)
class Request:
    """A request that went through.

    Attributes:
        session: The id of its session; none for one that opens a session.
        kind: ``GET``, ``POST`` or ``websocket``.
        worker: The tag of the worker that got it.
    """

    session: str
    kind: str
    worker: str

    @property
    def elsewhere(self) -> bool:
        """Whether another worker holds the session."""
        return self.session[:TAG] not in ("", self.worker)


class Front:
    """The front.

    Attributes:
        url: Of the endpoint behind it.
        requests: What went through so far.
    """

    def __init__(self, endpoint: str) -> None:
        self._target = httpx.URL(endpoint)
        self.url = ""
        self.requests: list[Request] = []
        self._lines: defaultdict[str, list[Line]] = defaultdict(list)
        self._last: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> dict[str, set[str]]:
        """The workers that got requests of each session, and the one that holds it."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for each in self.requests:
            if each.session:
                found[each.session] |= {each.worker, each.session[:TAG]}
        return found

    @property
    def holders(self) -> set[str]:
        """The workers that hold sessions: a WebSocket that opens one has come to the worker that holds it."""
        return {
            each.worker if each.kind == "websocket" and not each.session else each.session[:TAG]
            for each in self.requests
            if each.kind == "websocket" or each.session
        }

    @property
    def elsewhere(self) -> list[Request]:
        """The requests that came to a worker which does not hold their session."""
        return [each for each in self.requests if each.elsewhere]

    # Connections to the workers

    async def find(self) -> None:
        """Open connections until both workers have taken some; one of them may still be starting."""

        async def open_some() -> list[str]:
            await asyncio.gather(*(self._open() for _ in range(4)))
            return [*self._lines]

        await eventually(open_some, lambda found: len(found) == 2, "two workers", STARTED)

    async def _line_to(self, worker: str) -> Line:
        for _ in range(ATTEMPTS):
            while self._lines[worker]:
                line = self._lines[worker].pop()
                if time.monotonic() - line.opened < FRESH:
                    return line
                line.writer.close()
            await self._open()
        raise AssertionError(f"{ATTEMPTS} connections, and none to {worker}")

    async def _open(self) -> None:
        reader, writer = await asyncio.open_connection(self._target.host, self._target.port)
        try:
            opened = await self._ask(reader, writer, "GET", "")
            sid = json.loads(opened[1:])["sid"]
            await self._ask(reader, writer, "POST", f"&sid={sid}", "1")
        except BaseException:
            writer.transport.abort()
            raise
        self._lines[sid[:TAG]].append(Line(sid[:TAG], time.monotonic(), reader, writer))

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        query: str,
        body: str = "",
    ) -> str:
        path = f"{self._target.path}?EIO=4&transport=polling{query}"
        head = f"{method} {path} HTTP/1.1\r\nHost: front\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        answer = (await reader.readuntil(HEAD_END)).decode()
        assert answer.startswith("HTTP/1.1 200 "), answer
        length = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
        assert length is not None, answer
        return (await reader.readexactly(int(length[1]))).decode()

    # Requests

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._relay(reader, writer)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(HEAD_END)).decode()
        sid = re.search(r"[?&]sid=([\w-]+)", head.partition("\r\n")[0])
        upgrade = re.search(r"^upgrade: *websocket", head, re.IGNORECASE | re.MULTILINE)
        session, kind = sid[1] if sid else "", "websocket" if upgrade else head.split()[0]
        line = await self._line_to(self._next(session, kind))
        self.requests.append(Request(session, kind, line.worker))
        if not upgrade:
            head = re.sub(r"\r\nconnection:[^\r]*", "", head, flags=re.IGNORECASE)
            head = head.replace("\r\n", "\r\nConnection: close\r\n", 1)
        line.writer.write(head.encode())
        pumps = [
            asyncio.create_task(_pump(reader, line.writer)),
            asyncio.create_task(_pump(line.reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, line.writer):
                end.close()  # what was written last still goes out
            await asyncio.gather(*pumps, return_exceptions=True)
            with suppress(OSError):
                await writer.wait_closed()

    def _next(self, session: str, kind: str) -> str:
        """Return the worker whose turn it is: of a session the one that has not got its last request.

        The one WebSocket that a session may have goes to the worker that does not hold it.
        """
        last = session[:TAG] if kind == "websocket" and session else self._last.get(session, session[:TAG])
        self._last[session] = next(worker for worker in self._lines if worker != last)
        return self._last[session]

    async def close(self) -> None:
        """Drop every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in (line for lines in self._lines.values() for line in lines):
            line.writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def front(endpoint: str) -> AsyncIterator[Front]:
    """Stand in front of the two workers that serve `endpoint`, a URL with its path, until the test leaves this."""
    made = Front(endpoint)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made.url = str(httpx.URL(endpoint).copy_with(port=port))
    try:
        await made.find()
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
