"""Socket.IO packets (version 5 of the protocol) as the text of a frame, which begins with Engine.IO's ``4``.

    EVENT        42[/namespace,][ack id]["name",argument,…]
    ACK          43[/namespace,]ack id[argument,…]
    DISCONNECT   41[/namespace,]

Source: https://socket.io/docs/v4/socket-io-protocol/#packet-encoding
"""

from __future__ import annotations

import re
import sys
from json.decoder import scanstring  # type: ignore[attr-defined] # it is not in the stubs
from typing import Any, NamedTuple

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.json import dumps, loads
from walkie_signal.wire.values import fault_of

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Event names that no client may use: the Socket.IO libraries raise these events themselves."""

_NAME = re.compile(r'\[[ \t\r\n]*"')
"""The text before the name in an EVENT's data."""

_EVENT = re.compile(r"42(?:(/[^,]*),)?(\d{0,16})(?=\[)", re.ASCII)
"""The head of an EVENT; 16 digits are enough for every ack id that a JavaScript client can count up to."""


class Event(NamedTuple):
    """An event that a peer sent, as far as the packet tells.

    Attributes:
        name: Never one of `RESERVED_EVENTS`.
        arguments: As many as the peer sent; JSON values, and bytes if it sent attachments.
        ack_id: ``None`` if the peer asked for no ack.
        size: Bytes of the encoded event.
        fault: Why its arguments can't be relayed, or ``None``.
        text: The JSON text of its data, including the name; ``None`` if it was parsed elsewhere.
        waits: Whether it waits only as `text`, without its arguments.
    """

    name: str
    arguments: tuple[Any, ...]
    ack_id: int | None
    size: int
    fault: str | None
    text: str | None = None
    waits: bool = False


def read_size(text: str, namespace: str) -> Event | None:
    """Read an EVENT of `namespace` without its arguments, which are not parsed.

    This is for an event that is too large to be parsed. It does not check whether the arguments are JSON.

    Raises:
        ProtocolViolation: It is an EVENT of this namespace without a name, or with a reserved one.
    """
    head = _EVENT.match(text)
    if head is None or (head[1] or "/") != namespace:
        return None
    quote = _NAME.match(text, head.end())
    if quote is None:
        raise ProtocolViolation("an event without a name")
    try:
        name, _ = scanstring(text, quote.end())
    except ValueError:
        raise ProtocolViolation("an event that is not JSON") from None
    checked_name([name])
    return Event(name, (), int(head[2]) if head[2] else None, len(text), None)


def memory_of(event: Event) -> int:
    """Return the bytes that an event takes as text: if a text has one emoji, each of its characters takes four."""
    if event.text is not None:
        return sys.getsizeof(event.text)
    return sys.getsizeof(event.name) + (event.size if event.arguments else 0)


def size_of(text: str) -> int:
    """Return how many bytes a text has on the wire; half of a surrogate pair counts for three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def weight_of(data: Any) -> int:
    """Return about how many bytes parsed data came in, also if it holds binary or has no JSON form."""
    weight, left = 0, [data]
    while left:
        each = left.pop()
        weight += 1
        if isinstance(each, (bytes, str)):
            weight += len(each)
        elif isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, (list, tuple)):
            left += each
    return weight


def waiting(event: Event) -> Event:
    """Return an event in the form in which it waits: once parsed, it takes up to twenty times as much memory."""
    text = dumps([event.name, *event.arguments]) if event.text is None else event.text
    return event._replace(arguments=(), text=text, waits=True)


def worked_on(event: Event) -> Event:
    """Return an event that has waited, with its arguments."""
    return event._replace(arguments=tuple(loads(event.text or "")[1:]), waits=False)


def read_event(text: str, namespace: str, depth: int) -> Event | None:
    """Read the text of an EVENT of `namespace`; ``None`` if the text is another packet.

    Raises:
        ProtocolViolation: It is a malformed EVENT of this namespace.
    """
    head = _EVENT.match(text)
    if head is None or (head[1] or "/") != namespace:
        return None
    written = text[head.end() :]
    try:
        data = loads(written)
    except ValueError:
        raise ProtocolViolation("an event that is not JSON") from None
    name = checked_name(data)
    # No value is nested deeper than it has brackets. Except for lone surrogates, the parser has refused all else.
    plain = text.count("[") + text.count("{") <= depth and "\\u" not in text
    return Event(
        name=name,
        arguments=tuple(data[1:]),
        ack_id=int(head[2]) if head[2] else None,
        size=size_of(text),
        fault=None if plain else fault_of(data[1:], depth + 1),
        text=written,
    )


def event_of(data: list[Any], ack_id: int | None, depth: int) -> Event:
    """Make an `Event` of data that was parsed elsewhere.

    Raises:
        ProtocolViolation: The event's name is not a string, or it is reserved.
    """
    name = checked_name(data)
    fault = fault_of(data[1:], depth + 1)
    size = 0
    if fault is None:
        try:
            size = len(dumps(data).encode())
        except ValueError as error:
            fault = str(error)
    return Event(name=name, arguments=tuple(data[1:]), ack_id=ack_id, size=size, fault=fault)


def checked_name(data: Any) -> str:
    """Return the name of an event from its parsed data.

    Raises:
        ProtocolViolation: There is no name, it is not a string, or it is reserved.
    """
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise ProtocolViolation("an event without a name")
    if data[0] in RESERVED_EVENTS:
        raise ProtocolViolation("an event with a reserved name")
    return data[0]


def prefix_of(namespace: str) -> str:
    """Return what precedes the data in each packet of a namespace; for the default namespace, nothing does."""
    return "" if namespace == "/" else f"{namespace},"


def head_of(namespace: str) -> str:
    """Return the beginning of each EVENT of a namespace that asks for no ack."""
    return f"42{prefix_of(namespace)}["


def event_text(prefix: str, name: str, *arguments: Any) -> str:
    """Write an EVENT; `prefix` is `prefix_of` its namespace.

    Raises:
        ValueError: An argument has no JSON form.
    """
    return f"42{prefix}{dumps([name, *arguments])}"


def ack_text(prefix: str, ack_id: int, payload: Any) -> str:
    """Write the ACK to the event with `ack_id`."""
    return f"43{prefix}{ack_id}[{dumps(payload)}]"


def confirmation_text(prefix: str, ack_id: int) -> str:
    """Write the ACK to an event that was carried out and that has no answer of its own."""
    return f'43{prefix}{ack_id}[{{"ok":true}}]'


def disconnect_text(prefix: str) -> str:
    """Write a DISCONNECT, after which a stock client stays away."""
    return f"41{prefix}"
