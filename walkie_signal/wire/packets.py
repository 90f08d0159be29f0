"""Socket.IO 5 packets as text: pure functions, strict in what they read.

There are two rules for this file:

1. If a conforming client can't have sent a text, reading it raises `ProtocolViolation`, and never anything else.
2. The text of a violation says what was wrong, and quotes nothing of what was sent.

Source: https://socket.io/docs/v4/socket-io-protocol/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.event_packets import checked_name
from walkie_signal.wire.json import loads
from walkie_signal.wire.values import is_deeper

# Packet types
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

_HEAD = re.compile(r"([0-6])(?:(\d{1,4})-)?(?:(/[^,]*)(?:,|\Z))?(\d{0,16})", re.ASCII)
"""Type, attachments, namespace, ack id; 16 digits hold every id that a JavaScript client can count up to."""

DEEPEST = 200
"""Levels of lists and objects. When a handler answers with what it was sent, python-socketio recurses: each level
takes two or three of Python's 1,000 frames."""


@dataclass(slots=True)
class Packet:
    """A Socket.IO packet from a client.

    Attributes:
        kind: One of the packet types above.
        data: The parsed JSON; ``None`` if the packet has none.
        attachments: How many binary frames follow.
    """

    kind: int
    namespace: str
    ack_id: int | None
    data: Any
    attachments: int


def read_packet(text: str) -> Packet:
    """Read the text of a Socket.IO packet, without Engine.IO's leading ``4``."""
    head = _HEAD.match(text)
    if head is None:
        raise ProtocolViolation("an unknown packet type")
    kind, attachments, namespace, ack_id = head.groups()
    rest = text[head.end() :]
    try:
        data = loads(rest) if rest else None
    except ValueError:
        raise ProtocolViolation("a packet whose data is not JSON") from None
    if rest.count("[") + rest.count("{") > DEEPEST and is_deeper(data, DEEPEST):
        raise ProtocolViolation("a packet nested too deep")
    packet = Packet(
        int(kind),
        (namespace or "/").partition("?")[0],
        int(ack_id) if ack_id else None,
        data,
        int(attachments or 0),
    )
    if not rest and packet.kind not in (CONNECT, DISCONNECT):
        raise ProtocolViolation("a packet without data")
    if rest and packet.kind == CONNECT and not isinstance(data, dict):
        raise ProtocolViolation("a CONNECT whose payload is not an object")
    if attachments is not None and packet.kind not in (BINARY_EVENT, BINARY_ACK):
        raise ProtocolViolation("attachments to a packet that has none")
    check_packet(packet)
    return packet


def check_packet(packet: Packet) -> None:
    """Refuse a packet that parses, but that no client may send."""
    kind = packet.kind
    if kind in (EVENT, BINARY_EVENT):
        checked_name(packet.data)
    elif kind in (ACK, BINARY_ACK):
        if packet.ack_id is None or not isinstance(packet.data, list):
            raise ProtocolViolation("a malformed ack")
    elif kind == DISCONNECT:
        if packet.data is not None or packet.ack_id is not None:
            raise ProtocolViolation("a malformed DISCONNECT")
    elif kind != CONNECT or packet.ack_id is not None:
        raise ProtocolViolation(
            "a packet that only servers send" if kind != CONNECT else "a malformed CONNECT"
        )
    if kind in (BINARY_EVENT, BINARY_ACK) and packet.attachments == 0:
        # python-socketio would wait for ever for the attachments of such a packet
        raise ProtocolViolation("a binary packet without attachments")


class Partial:
    """A binary packet that waits for its attachments; the bytes that it holds are bounded."""

    __slots__ = ("_attachments", "_count", "_limit", "_read", "size")

    def __init__(self, packet: Packet, read: Callable[[], Packet], size: int, limit: int) -> None:
        """Find the places of the attachments; each attachment must have exactly one.

        So a client can't announce attachments that never come, and make the server hold the ones that did
        (python-socketio takes any number of up to ten digits, and held 36 MB for one client). Until the packet is
        complete, only its text is kept, and then parsed again: once parsed, it takes up to twenty times the memory.

        """
        self.size = size
        self._read = read
        self._limit = limit
        self._count = packet.attachments
        self._attachments: list[bytes] = []
        if sorted(number for _, _, number in _placeholders(packet.data)) != list(range(self._count)):
            raise ProtocolViolation("attachments that don't match their placeholders")

    def add(self, attachment: bytes) -> bool:
        """Take the next attachment; returns whether the packet is complete."""
        self.size += len(attachment)
        if self.size > self._limit:
            raise ProtocolViolation("attachments over the size limit")
        self._attachments.append(attachment)
        return len(self._attachments) == self._count

    def packet(self) -> Packet:
        """Return the packet with its attachments, which must all have come."""
        packet = self._read()
        for container, key, number in _placeholders(packet.data):
            container[key] = self._attachments[number]
        return packet


def _placeholders(data: Any) -> list[tuple[Any, Any, int]]:
    """List where attachments go, as container, key and number, without recursion: the data may be deep."""
    places: list[tuple[Any, Any, int]] = []
    left = [data]
    while left:
        container = left.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in items:
            if isinstance(value, dict) and value.get("_placeholder") is True:
                number = value.get("num")
                if type(number) is not int:
                    raise ProtocolViolation("a malformed placeholder")
                places.append((container, key, number))
            elif isinstance(value, (dict, list)):
                left.append(value)
    return places


def head_of(text: str) -> tuple[int, str, int | None] | None:
    """Return the type, namespace and ack id of a Socket.IO packet, whose data is not parsed; ``None`` for none."""
    head = _HEAD.match(text)
    if head is None:
        return None
    return int(head[1]), (head[3] or "/").partition("?")[0], int(head[4]) if head[4] else None


def namespace_of(text: str) -> str:
    """Return the namespace of a Socket.IO packet that this server has written."""
    head = _HEAD.match(text)
    return (head[3] if head else None) or "/"
