"""Nodes and their peers, without any transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.links import Phone
from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.core.identity import Identity
from walkie_signal.host import Host
from walkie_signal.node.node import Node
from walkie_signal.settings import Settings


@asynccontextmanager
async def running(
    settings: Settings | None = None, backend: Backend | None = None, **functions: Any
) -> AsyncIterator[Node]:
    """Run a node with the functions of a host, on the memory backend unless another one is given."""
    settings = settings or Settings(status_interval=0)
    node = Node("/", settings, backend or MemoryBackend(), Host(settings, **functions))
    await node.start()
    try:
        yield node
    finally:
        await node.close()


def phone(node: Node, peer_id: str, identity: Identity | None = None, *, address: str | None = None) -> Phone:
    """Connect a peer that is admitted at once, from an address if that is known."""
    connected = Phone(node, peer_id, address=address)
    node.admit(connected.peer, identity)
    return connected


def on_the_clock(node: Node, kind: str) -> dict[Any, int]:
    """Return what is still to be done at its time on a node, of those whose key begins with that word."""
    slots: dict[Any, int] = dict(node._clock._wheel._slot_of)
    return {key: slot for key, slot in slots.items() if key[0] == kind}
