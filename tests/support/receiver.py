"""Who receives the requests of a webhook: a real HTTP server, which keeps them and answers as a test says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from standardwebhooks import Webhook

from support.waiting import WITHIN, Arrivals

SECRET = "whsec_" + "c2VjcmV0" * 5
PREVIOUS = "whsec_" + "cHJldmlv" * 5
OTHER = "whsec_" + "b3RoZXI4" * 5

Way = int | bytes | Literal["hang", "trickle", "cut"]
"""How a request is answered: with a status, with these bytes, never, a byte a time for ever, or by a reset."""


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found

    def verify(self, secret: str = SECRET) -> None:
        """Verify it as receivers do, by the library of Standard Webhooks, which raises if it is not good."""
        Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """The server.

    Attributes:
        url: Where it is.
        requests: What has come, in order.
        ways: How the next requests are answered, one after the other.
        way: How those behind them are.
        most_open: How many connections were open at once.
    """

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    ways: deque[Way] = field(default_factory=deque)
    way: Way = 204
    most_open: int = 0

    def __post_init__(self) -> None:
        self._arrivals = Arrivals(lambda: "\n".join(map(str, self.requests)))
        self._open = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        """What has come, each event once."""
        return list({event["id"]: event for request in self.requests for event in request.events}.values())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["type"] == kind]

    async def has(self, number: int, within: float = WITHIN) -> list[Request]:
        """Wait for so many requests."""
        await self._arrivals.until(lambda: len(self.requests) >= number, f"{number} requests", within)
        return self.requests

    async def hears(self, kind: str, within: float = WITHIN, **having: Any) -> dict[str, Any]:
        """Wait for an event of a kind with these values in its data; returns its data."""

        def found() -> Iterator[dict[str, Any]]:
            return (data for data in self.of(kind) if having.items() <= data.items())

        await self._arrivals.until(lambda: any(True for _ in found()), f"{kind} with {having}", within)
        return next(found())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request of a connection."""
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._read(reader)
                await self._answer(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in head[1:-2])}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(Request(head[0], headers, body, asyncio.get_running_loop().time()))
        self._arrivals.grew()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self.ways.popleft() if self.ways else self.way
        if way == "hang":
            await reader.read()
        elif way == "trickle":
            while not reader.at_eof():
                writer.write(b"H")
                await writer.drain()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        elif way == "cut":
            writer.transport.abort()
        else:
            head = way if isinstance(way, bytes) else b"HTTP/1.1 %d X\r\n" % way
            writer.write(head + b"content-length: 0\r\n\r\n")
            await writer.drain()


@asynccontextmanager
async def receiver(
    way: Way = 204, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver on loopback."""
    received = Receiver(way=way)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(received.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    received.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield received
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
