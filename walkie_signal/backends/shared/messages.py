"""What nodes send one another.

Whatever the data is, reading it gives a value of the right types or raises a `ValueError` with a text of ours.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from walkie_signal.backends.shared.format import LONGEST_NUMBER, READS, WRITES, after_format, read_number
from walkie_signal.wire.frames import Frame
from walkie_signal.wire.json import dumps, loads


class Signal(NamedTuple):
    """A signal on its way to another node.

    Attributes:
        node: The sender's node.
        number: How many messages that node has sent to this one, signals and those of the host, including this one.
        target_id: The peer that it is for.
        from_id: The peer that it is from.
        since: The time when the sender became a member of `room`; the receiving node has to know this join first.
        room: A room that both are in.
        text: The frame for the target.
    """

    node: str
    number: int
    target_id: str
    from_id: str
    since: int
    room: str
    text: str


class Told(NamedTuple):
    """A frame for each connection of a user."""

    user_id: str
    text: str


class Kicked(NamedTuple):
    """An order to kick a peer."""

    peer_id: str


class Beat(NamedTuple):
    """A message that a node sends to itself, to find out whether messages arrive."""

    number: int


class Mark(NamedTuple):
    """A node's question to one that it reaches by the store's channel: has all been read that came before this?

    Attributes:
        node: Who asks.
        number: What the answer bears.
    """

    node: str
    number: int


class Read(NamedTuple):
    """The answer to a `Mark`, by the node that has got it, with the mark's number."""

    node: str
    number: int


class HostMessage(NamedTuple):
    """What a node tells another one for the host's server.

    Attributes:
        node: The sender's node.
        number: As for a signal, whose numbers it shares.
        kind: What it is; see `host_mail`.
        head: What is said, as JSON has it.
        frames: The frames that it brings along.
    """

    node: str
    number: int
    kind: str
    head: list[Any]
    frames: tuple[Frame, ...]


NodeMessage = Signal | Told | Kicked | Beat | Mark | Read | HostMessage

_signal: Callable[[tuple[str, int, str, str, int, str, str]], Signal] = partial(tuple.__new__, Signal)
"""Makes a `Signal`; the named tuple's own constructor takes three times as long."""


@lru_cache
def _quoted(text: str) -> str:
    return quote(text, "")


_unquoted = lru_cache(unquote)


def write_signal(  # noqa: PLR0917 - each signal comes here, and keywords take longer
    node: str, number: int, target_id: str, from_id: str, since: int, room: str, text: str
) -> str:
    """Write a `Signal`."""
    return f"{WRITES} s {node} {number} {target_id} {from_id} {since} {_quoted(room)} {text}"


def write_told(told: Told) -> bytes:
    """Write a frame for a user."""
    return f"{WRITES} t {_quoted(told.user_id)} {told.text}".encode()


def write_kicked(kicked: Kicked) -> bytes:
    """Write an order to kick."""
    return f"{WRITES} k {kicked.peer_id}".encode()


SEPARATOR = "\x1e"
"""What stands before each frame of a host's message; JSON has none."""


def write_host_body(kind: str, head: list[Any], frames: Iterable[Frame] = ()) -> str:
    """Write what is the same in a host's message to whichever node."""
    texts = [
        f"{SEPARATOR}t{frame}" if isinstance(frame, str) else f"{SEPARATOR}b{b64encode(frame).decode()}"
        for frame in frames
    ]
    return f"{kind} {_quoted(dumps(head))}{''.join(texts)}"


def write_host(node: str, number: int, body: str) -> str:
    """Write a `HostMessage` to a node, with what `write_host_body` has returned."""
    return f"{WRITES} h {node} {number} {body}"


def write_mark(mark: Mark) -> str:
    """Write a mark."""
    return f"{WRITES} m {mark.node} {mark.number}"


def write_read(read: Read) -> str:
    """Write the answer to a mark."""
    return f"{WRITES} r {read.node} {read.number}"


def write_beat(beat: Beat) -> bytes:
    """Write a beat."""
    return f"{WRITES} b {beat.number}".encode()


def read_node_message(data: bytes) -> NodeMessage | None:
    """Read a message from a node's own channel; ``None`` if this release doesn't know its kind.

    Raises:
        ValueError: It has another format, or it is malformed.
    """
    text = data.decode()
    words = text.split(" ", 8)
    if len(words) == 9 and words[1] == "s" and words[0] in READS:  # noqa: PLR2004 - a signal; most messages are
        _, _, node, number, target_id, from_id, since, room, frame = words
        if not (number.isdecimal() and since.isdecimal() and len(since) + len(number) <= 2 * LONGEST_NUMBER):
            raise ValueError("a signal with something else than a number")
        return _signal((node, int(number), target_id, from_id, int(since), _unquoted(room), frame))
    kind, rest = after_format(text)
    if kind == "s":
        raise ValueError("a signal that lacks something")
    if kind == "t":
        user_id, space, frame = rest.partition(" ")
        if not space:
            raise ValueError("a frame for a user that lacks something")
        return Told(_unquoted(user_id), frame)
    if kind == "h":
        return _read_host(rest)
    if kind in ("m", "r"):
        node, _, number_text = rest.partition(" ")
        return (Mark if kind == "m" else Read)(_named(node), read_number(number_text.partition(" ")[0]))
    if kind == "k":
        return Kicked(_named(rest.partition(" ")[0]))
    return Beat(read_number(rest.partition(" ")[0])) if _named(kind) == "b" else None


def _named(word: str) -> str:
    if not word:
        raise ValueError("a message that names nobody, or has no kind")
    return word


def _read_host(rest: str) -> HostMessage:
    text, *frames = rest.split(SEPARATOR)
    words = text.split(" ")
    if len(words) != 4:  # noqa: PLR2004 - as `write_host` writes them
        raise ValueError("a host's message that lacks something")
    node, number, kind, head = words
    return HostMessage(
        node, read_number(number), kind, list(loads(_unquoted(head))), tuple(map(_read_frame, frames))
    )


def _read_frame(text: str) -> Frame:
    if text[:1] == "t":
        return text[1:]
    if text[:1] == "b":
        return b64decode(text[1:], validate=True)
    raise ValueError("neither a text nor a binary frame")
