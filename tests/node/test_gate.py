"""One table says who carries out each event."""

from __future__ import annotations

from typing import get_args

from support.nodes import running
from walkie_signal.core.peer_events import Message
from walkie_signal.node.peers import Item
from walkie_signal.wire.event_packets import Event


async def test_each_message_and_each_item_has_its_row() -> None:
    """Whatever has none would be answered ``internal``, or end the work on its peer's queue."""
    async with running() as node:
        assert set(node.gate.table) == set(get_args(Message))
        assert {Event, *node.gate.own} == set(get_args(Item))
