"""Asks all sentinels at once which server is the primary, and takes the newest answer.

A sentinel that was cut off names the former primary. Each sentinel knows the configuration epoch, which is the
number of the last failover that it has heard of. If two disagree, the one with the higher epoch is right. If they
have the same one, as when one of them is of another service by the same name, the caller finds out by trying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import hiredis

from walkie_signal.backends.redis.address import Address
from walkie_signal.backends.redis.dial import Dialer
from walkie_signal.backends.redis.wire import Wire, words
from walkie_signal.backends.shared.lifetime import UNLIMITED

ASKING = 1.5
"""Seconds that the sentinels have to answer."""

OTHERS = 0.25
"""Seconds that the others have left once one has answered."""


class Primary(NamedTuple):
    """The answer of one sentinel."""

    epoch: int
    host: str
    port: int
    sentinel: str


class Unknown(OSError):  # noqa: N818 - what it is, not a fault of ours
    """No sentinel names a primary; the text says what each sentinel did instead."""


class Sentinels:
    """The sentinels of one service."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._dialers = [Dialer(host, port) for host, port in address.hosts]

    async def primary(self, useless: Primary | None = None) -> Primary:
        """Return which server is the primary; of equals another one than was `useless` at the last try.

        Raises:
            Unknown: No sentinel names one.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ASKING
        asked = {loop.create_task(self._ask(each)): each.name for each in self._dialers}
        try:
            while (waiting := [each for each in asked if not each.done()]) and (
                left := deadline - loop.time()
            ) > 0:
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if _said(asked):
                    deadline = min(deadline, loop.time() + OTHERS)
            if said := _said(asked):
                return max(said, key=lambda each: (each.epoch, useless is None or each[1:3] != useless[1:3]))
            raise Unknown(
                "; ".join(f"the sentinel at {name}: {_fault(each)}" for each, name in asked.items())
            )
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(self, dialer: Dialer) -> Primary:
        wire = Wire(lambda *_: None, lambda _: None, UNLIMITED)
        service = self._address.service or ""
        dialer.renew()
        try:
            await dialer.connect(wire, self._address.tls(sentinel=True))
            if self._address.sentinel_login:
                await wire.ask("AUTH", *self._address.sentinel_login)
            found = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            if found is None:
                raise Unknown(f"it knows no service {service!r}")
            epoch = await self._epoch(wire)
            return Primary(epoch, found[0].decode(), int(found[1]), dialer.name)
        finally:
            wire.abort()

    async def _epoch(self, wire: Wire) -> int:
        try:
            facts = await wire.ask("SENTINEL", "MASTER", self._address.service or "")
        except hiredis.ReplyError:  # this user may not ask for the epoch, so the answer counts as the oldest
            return 0
        return int(dict(zip(facts[::2], facts[1::2], strict=True)).get(b"config-epoch", 0))

    def close(self) -> None:
        """End the look-ups that are under way."""
        for each in self._dialers:
            each.close()


def _said(asked: Iterable[asyncio.Task[Primary]]) -> list[Primary]:
    return [each.result() for each in asked if each.done() and each.exception() is None]


def _fault(asked: asyncio.Task[Primary]) -> str:
    error = asked.exception() if asked.done() else None
    if error is None:
        return "it does not answer"
    return words(error) if isinstance(error, hiredis.ReplyError) else str(error) or type(error).__name__
