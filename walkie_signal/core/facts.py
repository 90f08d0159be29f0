"""What has happened: each fact is told once, to whoever listens.

    where it is known ──tell──▶ Facts ──▶ sinks: the host's hooks, the log of refusals

There are two rules for this file: a fact says by itself all that its sinks need; and where nobody listens for a
kind of fact, none of that kind is made. Code that tells a fact knows none of the sinks, and counts or logs nothing
of it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from walkie_signal.core.changes import Member, Reason
from walkie_signal.errors import ErrorCode

Arguments = ParamSpec("Arguments")
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """A peer of this node has become a member."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """A peer of this node, or of a dead node that this node has removed, is a member no longer."""

    member: Member
    reason: Reason


@dataclass(frozen=True, slots=True)
class EventRefused:
    """An event of a peer was answered with an error, and not because of a fault of ours.

    Attributes:
        event: The name of the event; ``None`` if it is none of ours, because then its client has chosen it.
        code: The code of the error.
        peer_id: The peer.
        link: The peer's link, whose text says what carries it and from where.
        why: More than the code says: the setting of a limit, or what was wrong with a credential; empty if there is
            no more.
        is_suspect: Whether it showed a bad credential, and too many from its address were refused before.
    """

    event: str | None
    code: ErrorCode
    peer_id: str
    link: object
    why: str = ""
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class PeerLimited:
    """A peer is closed because it went on after it was told that it is over a limit.

    Attributes:
        peer_id: The peer.
        link: Its link, as above.
    """

    peer_id: str
    link: object


@dataclass(frozen=True, slots=True)
class ConnectRefused:
    """A connection was not let in.

    Attributes:
        why: The code of the error, or who refused it.
        address: Where it comes from.
        is_suspect: Whether too many from that address were refused before.
    """

    why: str
    address: str
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceRefused:
    """A CONNECT was refused before the namespace was asked: there is none, or the packet is too large.

    Attributes:
        message: What its client is told.
        connection: The connection, whose text says what carries it and from where.
    """

    message: str
    connection: object


@dataclass(frozen=True, slots=True)
class HandshakeRefused:
    """A request that was to begin a session was refused.

    Attributes:
        code: Engine.IO's code of the error.
        message: What the client is told.
        address: Where the request comes from.
    """

    code: int
    message: str
    address: str


Refusal = EventRefused | PeerLimited | ConnectRefused | NamespaceRefused | HandshakeRefused


class Facts:
    """Tells the facts of one part of the service, a node or a transport."""

    __slots__ = ("_sinks",)

    def __init__(self) -> None:
        self._sinks: dict[object, tuple[Callable[[Any], None], ...]] = {}

    def listen(self, kind: type[Fact], sink: Callable[[Fact], None]) -> None:
        """Call `sink`, which may not raise, with each fact of a kind, after the sinks that listen already."""
        self._sinks[kind] = (*self._sinks.get(kind, ()), sink)

    def tell(
        self, kind: Callable[Arguments, object], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> None:
        """Tell a fact of a kind, made from the arguments if anybody listens for it."""
        sinks = self._sinks.get(kind)
        if sinks is not None:
            fact = kind(*arguments, **named)
            for sink in sinks:
                sink(fact)
