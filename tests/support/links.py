"""A connection that keeps what was sent on it, for tests of the layers above the transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from support.waiting import Arrivals
from walkie_signal.core.ports import TextHandler
from walkie_signal.node.node import Node
from walkie_signal.node.peers import Peer
from walkie_signal.wire.event_packets import event_of


class KeptLink:
    """A `Link` whose other end never says anything."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.at_once: list[int] = []
        self.closed = False
        self._arrivals = Arrivals(lambda: "\n".join(self.texts))

    def send(self, text: str) -> None:
        self.texts.append(text)
        self._arrivals.grew()

    def send_all(self, texts: Sequence[str]) -> None:
        self.at_once.append(len(texts))
        for text in texts:
            self.send(text)

    def send_latest(self, _key: str, text: str) -> None:
        self.send(text)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on the sent texts holds."""
        await self._arrivals.until(condition)

    def close(self, *, for_good: bool) -> None:
        self.closed = True

    def listen(self, _handler: TextHandler) -> None:
        raise AssertionError("the node listens to nobody")

    def events(self, *names: str) -> list[tuple[str, Any]]:
        """Return the events sent so far as (name, payload); if `names` are given, only those."""
        data = [json.loads(text[2:]) for text in self.texts if text.startswith("42[")]
        return [(name, payload) for name, payload in data if not names or name in names]

    def acks(self) -> dict[int, Any]:
        """Return the acks sent so far by their ids."""
        acks = [text[2:].partition("[") for text in self.texts if text.startswith("43")]
        return {int(ack_id): json.loads("[" + payload)[0] for ack_id, _, payload in acks}

    def order(self) -> list[str]:
        """Return the names of what was sent, in order; an ack is ``ack``."""
        return ["ack" if text.startswith("43") else json.loads(text[2:])[0] for text in self.texts]


class Phone:
    """A peer of a node, by which a test sends events."""

    def __init__(
        self, node: Node, peer_id: str, link: KeptLink | None = None, address: str | None = None
    ) -> None:
        self.link = link or KeptLink()
        self._node = node
        self._asked = 0
        self.peer: Peer = node.open(peer_id, self.link, address)

    @property
    def peer_id(self) -> str:
        return self.peer.peer_id

    def emit(self, name: str, *arguments: Any, ack: bool = False) -> int:
        """Send an event; returns the id of the ack that it asks for."""
        self._asked += 1
        self._node.gate.receive_event(
            self.peer, event_of([name, *arguments], self._asked if ack else None, 64)
        )
        return self._asked

    async def call(self, name: str, *arguments: Any) -> Any:
        """Send an event and return its ack, once all events of this peer are done."""
        ack_id = self.emit(name, *arguments, ack=True)
        await self.peer.settled()
        return self.link.acks()[ack_id]
