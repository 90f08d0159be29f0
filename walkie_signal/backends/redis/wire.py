"""One connection to Redis, as lean as the way of a signal needs it.

Requests are answered in their order. Parsing and packing is hiredis'; of
redis-py the URL and the TLS settings are used.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
from redis.asyncio.connection import parse_url

Answer = Callable[[Any], None]
"""Takes what Redis answers; an exception where it refuses, or where the connection ended before."""


class Lost(ConnectionError):  # noqa: N818 - what has happened, not a fault
    """The connection ended before Redis answered."""


def packed(*parts: str | bytes | int) -> bytes:
    """Write a request as Redis reads it."""
    return hiredis.pack_command(parts)  # type: ignore[arg-type, no-any-return]  # its types allow one part only


def ignore(_answer: Any) -> None:
    """Take an answer that nobody waits for."""


class Address:
    """Where a Redis server is, and how to speak to it, from a URL of redis-py's forms.

    Raises:
        ValueError: `url` is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))
        self.path: str | None = self._options.get("path")
        self.host: str = self._options.get("host", "localhost")
        self.port: int = int(self._options.get("port", 6379))
        self.database: int = int(self._options.get("db", 0))
        self.username: str | None = self._options.get("username")
        self.password: str | None = self._options.get("password")
        self._tls = url.startswith("rediss:")

    def __str__(self) -> str:
        """Name it without its secrets."""
        return f"{self.path or f'{self.host}:{self.port}'}/{self.database}"

    def tls(self) -> ssl.SSLContext | None:
        """Return what to verify the server with, or ``None`` where the URL wants no TLS."""
        if not self._tls:
            return None
        options = self._options
        context = ssl.create_default_context(
            cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path")
        )
        if options.get("ssl_certfile"):
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
        requirement = options.get("ssl_cert_reqs")
        if requirement == "none" or options.get("ssl_check_hostname") in ("False", "false", "0"):
            context.check_hostname = False
        if requirement == "none":
            context.verify_mode = ssl.CERT_NONE
        return context

    async def connect(
        self, hear: Callable[[bytes, bytes], None], lost: Callable[[], None], lifetime: Lifetime
    ) -> Wire:
        """Open a connection.

        Args:
            hear: Takes a channel and what was published on it.
            lost: Called when the connection has ended, in whatever way.
            lifetime: The process's; beyond it nothing is sent and nothing is heard.

        Raises:
            OSError: It can't be opened.
        """
        loop = asyncio.get_running_loop()
        context = self.tls()
        wire = Wire(hear, lost, lifetime)
        if self.path is not None:
            await loop.create_unix_connection(lambda: wire, self.path)
        else:
            await loop.create_connection(lambda: wire, self.host, self.port, ssl=context)
        return wire


class Lifetime:
    """How long this process, should it not run meanwhile, may go on as the node that it is.

    Attributes:
        until: Until then, on the loop's clock.
        over: Called where it has overslept, before anything else is done.
    """

    def __init__(self) -> None:
        self.until = math.inf
        self.over: Callable[[], None] = lambda: None


class Wire(asyncio.Protocol):
    """A connection; made by `Address.connect`."""

    def __init__(
        self, hear: Callable[[bytes, bytes], None], lost: Callable[[], None], lifetime: Lifetime
    ) -> None:
        self._hear = hear
        self._lifetime = lifetime
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._answers: deque[tuple[float, Answer]] = deque()
        self._confirmed: dict[tuple[bytes, bytes], list[asyncio.Future[None]]] = {}
        self._transport: Any = None
        self._ended = False

    # What is asked

    def post(self, request: bytes, answer: Answer) -> None:
        """Send a packed request; its answer is called once, at once where the connection has ended."""
        now = self._loop.time()
        if now > self._lifetime.until:
            self._lifetime.over()
        if self._ended:
            answer(Lost())
            return
        self._answers.append((now, answer))
        self._transport.write(request)

    def ask(self, *parts: str | bytes | int) -> asyncio.Future[Any]:
        """Send a request; returns its answer to come.

        Raises (in the future):
            hiredis.ReplyError: Redis refuses it.
            Lost: The connection ended before.
        """
        future = self._loop.create_future()
        self.post(packed(*parts), lambda answer: _settle(future, answer))
        return future

    def subscribe(self, channel: str) -> asyncio.Future[None]:
        """Begin to hear a channel; done when Redis has confirmed it."""
        future = self._loop.create_future()
        if self._ended:
            future.set_exception(Lost())
            return future
        self._confirmed.setdefault((b"subscribe", channel.encode()), []).append(future)
        self._transport.write(packed("SUBSCRIBE", channel))
        return future

    def unsubscribe(self, channel: str) -> None:
        """Hear a channel no more."""
        if not self._ended:
            self._transport.write(packed("UNSUBSCRIBE", channel))

    def waiting_since(self) -> float | None:
        """Return when the oldest request without an answer was sent, on the loop's clock; ``None`` without one."""
        return self._answers[0][0] if self._answers else None

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take answers and what was published."""
        if self._loop.time() > self._lifetime.until:
            self._lifetime.over()
        if self._ended:
            return
        self._reader.feed(data)
        gets = self._reader.gets
        try:
            while (reply := gets()) is not False:
                if self._answers:
                    self._answers.popleft()[1](reply)
                elif type(reply) is list and reply[0] == b"message":
                    self._hear(reply[1], reply[2])
                else:
                    self._confirm(reply)
        except hiredis.ProtocolError:
            self.abort()

    def _confirm(self, reply: Any) -> None:
        """Take the confirmation that a channel is heard, or not any more."""
        if isinstance(reply, hiredis.ReplyError):  # a channel is refused, and it does not say which
            self._refuse(reply)
            return
        kind, channel, _ = reply
        for future in self._confirmed.pop((kind, channel), ()):
            if not future.done():
                future.set_result(None)

    def _refuse(self, error: Exception) -> None:
        """Tell those who wait for the confirmation of a channel that it won't come."""
        for futures in self._confirmed.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # whoever has stopped waiting need not be told
        self._confirmed.clear()

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        answers, self._answers = self._answers, deque()
        for _, answer in answers:
            answer(Lost())
        self._refuse(Lost())
        self._lost()


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
        future.exception()  # whoever has stopped waiting need not be told
    else:
        future.set_result(answer)
