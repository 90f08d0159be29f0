"""Opens a TCP connection to a server by its name. The name's addresses are raced, as in RFC 8305.

A name often has an address that leads nowhere, such as an IPv6 address on a network that only routes IPv4. uvloop
lacks asyncio's own race (`happy_eyeballs_delay`), which also doesn't tell how each address failed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any

from walkie_signal.backends.redis.address import at
from walkie_signal.backends.redis.wire import reason

STAGGER = 0.25
"""Seconds that an address has before the next one is tried as well (RFC 8305, section 5)."""

WITHIN = 1.5
"""Seconds for a connection, including the look-up of the name."""

Found = tuple[Any, ...]
"""An address as `getaddrinfo` returns it."""


class Unreachable(OSError):  # noqa: N818 - what has happened, not a fault
    """No connection could be opened; the text says what was tried, and how each address failed."""


class Dialer:
    """Opens connections to one host and port.

    Attributes:
        reached: The address of the last connection.
        passed_over: How the addresses that were tried before it failed.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = at(host, port)
        self.reached = ""
        self.passed_over: list[str] = []
        self._host = host
        self._port = port
        self._looking_up: asyncio.Future[Sequence[Found]] | None = None
        self._served = False
        self._preferred: Found | None = None
        self._shunned: list[Found] = []  # the one that failed last comes last

    def renew(self) -> None:
        """Look the name up again if a try has used the last look-up; one that came too late serves the next try."""
        self.passed_over = []
        if self._served:
            self._looking_up, self._served = None, False

    async def connect(self, wire: asyncio.Protocol, tls: ssl.SSLContext | None) -> None:
        """Connect a wire; `tls` is the context to verify the server with.

        Raises:
            Unreachable: No connection could be opened in time.
        """
        connection, loop = await self._open(), asyncio.get_running_loop()
        named = self._host if tls else None
        connecting = loop.create_connection(lambda: wire, sock=connection, ssl=tls, server_hostname=named)
        try:
            await asyncio.wait_for(connecting, WITHIN)
        except asyncio.TimeoutError:
            raise Unreachable(f"{self.reached} does not answer to TLS") from None
        except OSError as error:  # an ssl.SSLError is one
            raise Unreachable(f"{self.reached}, TLS: {error.strerror or error}") from None

    async def _open(self) -> socket.socket:
        deadline = asyncio.get_running_loop().time() + WITHIN
        addresses = self._in_turn(await self._addresses())
        left = list(addresses)
        try:
            connection, found, passed_over = await _race(left, deadline)
        except Unreachable:
            self._put_last([each for each in addresses if each not in left])
            raise
        if found != self._preferred:
            self._preferred, self.passed_over = found, passed_over
        self.reached = _named(found)
        return connection

    def shun(self) -> None:
        """From now on, try the address that was reached last: the server there can't be used now."""
        if self._preferred is not None:
            self._put_last([self._preferred])
            self._preferred = None

    def _put_last(self, failed: Sequence[Found]) -> None:
        """Try others first from now on, so that each of many has its turn."""
        self._shunned = [each for each in self._shunned if each not in failed] + list(failed)

    async def _addresses(self) -> Sequence[Found]:
        if self._looking_up is None:
            self._looking_up = asyncio.ensure_future(self._look_up())
            self._looking_up.add_done_callback(_retrieved)
        looked_up = self._looking_up
        await asyncio.wait([looked_up], timeout=WITHIN)
        if not looked_up.done():
            raise Unreachable(f"{self._host}: the name is not resolved in time")
        self._served = True
        try:
            return looked_up.result()
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{self._host}: {getattr(error, 'strerror', None) or error}") from None

    async def _look_up(self) -> Sequence[Found]:
        # A process that has ever had a second thread pays for locks at each system call and allocation
        with suppress(socket.gaierror):
            return socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)

    def _in_turn(self, addresses: Iterable[Found]) -> list[Found]:
        """Return the addresses in the order to try them: the preferred one, then the families in turn."""
        families: dict[int, list[Found]] = {}
        for each in addresses:
            families.setdefault(each[0], []).append(each)
        in_turn = [each for each in chain(*zip_longest(*families.values())) if each is not None]
        self._shunned = last = [each for each in self._shunned if each in in_turn]
        return sorted(
            in_turn, key=lambda each: (each != self._preferred, each in last and last.index(each) + 1)
        )

    def close(self) -> None:
        """End the look-up that is under way."""
        if self._looking_up is not None:
            self._looking_up.cancel()
            self._looking_up, self._served = None, False


async def _race(left: list[Found], deadline: float) -> tuple[socket.socket, Found, list[str]]:
    """Connect to the first address that accepts; returns the connection, its address, and how others failed.

    Each address that is tried is taken out of `left`.
    """
    loop = asyncio.get_running_loop()
    failed = list[str]()
    tries: dict[asyncio.Task[socket.socket], Found] = {}
    try:
        while (left or tries) and (time := deadline - loop.time()) > 0:
            if left:
                address = left.pop(0)
                tries[loop.create_task(_connect(address))] = address
            done, _ = await asyncio.wait(
                tries, timeout=min(time, STAGGER) if left else time, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                address = tries.pop(each)
                error = each.exception()
                if error is None:
                    silent = [f"{_named(other)} does not answer" for other in tries.values()]
                    return each.result(), address, failed + silent
                failed.append(f"{_named(address)}: {_reason(error)}")
        failed += [f"{_named(address)} does not answer" for address in tries.values()]
        raise Unreachable("; ".join(failed))
    finally:
        for each in tries:
            each.cancel()
            each.add_done_callback(_closed)


async def _connect(address: Found) -> socket.socket:
    family, kind, protocol, _, where = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.BaseEventLoop):
            await loop.sock_connect(connection, where)
        else:
            await _connect_with_uvloop(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _connect_with_uvloop(connection: socket.socket, where: Any) -> None:
    """Connect as `sock_connect` does, which in uvloop (0.23) looks even a numeric address up in a thread."""
    error = connection.connect_ex(where)
    if error == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(connection, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(connection)
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _closed(late: asyncio.Task[socket.socket]) -> None:
    """Close a connection that was opened after the race was over."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()


def _retrieved(looked_up: asyncio.Future[Sequence[Found]]) -> None:
    if not looked_up.cancelled():
        looked_up.exception()  # asyncio would complain if nobody looked at it


def _named(address: Found) -> str:
    return at(*address[4][:2])


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    return str(error) or type(error).__name__
