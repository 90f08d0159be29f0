"""This node's way to Redis: one connection that asks, and one that listens (`pairs`)."""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis

from walkie_signal.backends.redis.pairs import Pairs
from walkie_signal.backends.redis.rights import is_refusal
from walkie_signal.backends.redis.scripts import Script
from walkie_signal.backends.redis.server import Server
from walkie_signal.backends.redis.wire import Answer, NoWire, Wire, text_of, words
from walkie_signal.backends.shared import uplink
from walkie_signal.backends.shared.uplink import Node

NONE = NoWire()

CHANGED = ("NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
"""The beginnings of errors of a Redis that has changed since we connected."""


class Uplink(uplink.Uplink):
    """The two connections of one node.

    Args:
        url: The URL of the Redis server.
        node: The node.

    Attributes:
        asking: The connection for requests.
        listening: The connection for what is published.
    """

    failures = (*uplink.Uplink.failures, hiredis.HiredisError)

    def __init__(self, url: str, node: Node) -> None:
        self._server = Server(url)
        self.address = self._server.address
        super().__init__(f"Redis at {self.address}", node)
        self._pairs = Pairs(self._server, node.lifetime, node.hear, self.lose)
        self.asking: Wire | NoWire = NONE
        self.listening: Wire | NoWire = NONE
        self._scripts_kept = False

    # Its connections

    async def _open(self) -> None:
        await self._server.find()
        self.asking, self.listening = asking, _ = await self._pairs.open()
        self._watch()
        self._scripts_kept = await self._pairs.prepare(asking)

    def _abort(self) -> None:
        wires = (self.asking, self.listening)
        self.asking = self.listening = NONE
        for wire in wires:
            wire.abort()

    def _waiting_since(self) -> float | None:
        return self.asking.waiting_since()

    @property
    def _connections(self) -> object:
        return self.asking

    def _shun(self) -> None:
        self._server.shun()

    def _where(self) -> str:
        return self._server.where()

    def _words(self, error: Exception) -> str:
        return words(error) if isinstance(error, hiredis.ReplyError) else str(error)

    async def close(self) -> None:
        """End both connections."""
        await super().close()
        self._server.close()

    # What is asked

    def post(self, request: bytes, answer: Answer) -> None:
        """Send a packed request; see `Wire.post`."""
        self.asking.post(request, answer)

    def ask(self, *parts: str | bytes | int) -> asyncio.Future[Any]:
        """Send a request; see `Wire.ask`."""
        return self.asking.ask(*parts)

    def run(self, script: Script, keys: list[str], *arguments: str | int) -> asyncio.Future[Any]:
        """Run a script; see `Wire.ask`."""
        how = ("EVALSHA", script.sha) if self._scripts_kept else ("EVAL", script.source)
        answer = self.ask(*how, len(keys), *keys, *arguments)
        answer.add_done_callback(self._judge)
        return answer

    def _judge(self, answer: asyncio.Future[Any]) -> None:
        """Connect again if Redis has changed its role, has forgotten the scripts, or refuses what it allowed."""
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, hiredis.ReplyError) and (
            text_of(error).startswith(CHANGED) or is_refusal(error)
        ):
            self.lose(words(error))
