"""The one way in: each event of a peer enters here, whichever way it came, and one table says who carries it out.

    the text of a frame ──┬── a plain signal, and nothing waits ──▶ `Signals.send`
                          └──▶ an Event ──┐
    an event that a stock server parsed ──┴──▶ the peer's queue ──▶ its message ──▶ its row of the table

There is one rule for this file: what bounds a peer's queue stands here, so that no way in is without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from walkie_signal.core.peer_events import (
    CLIENT_EVENTS,
    JoinRoom,
    LeaveRoom,
    Message,
    RefreshToken,
    SignalTo,
    read_message,
)
from walkie_signal.errors import LimitReached
from walkie_signal.node.answers import Answers
from walkie_signal.node.early import Early
from walkie_signal.node.joining import Joins
from walkie_signal.node.leaving import Leaves
from walkie_signal.node.limits import Limits
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Announcement, Departure, Item, Peer
from walkie_signal.node.refreshing import Refreshes
from walkie_signal.node.signals import Signals
from walkie_signal.settings import Settings
from walkie_signal.wire.event_packets import (
    Event,
    checked_name,
    event_of,
    memory_of,
    prefix_of,
    read_event,
    read_size,
    size_of,
    weight_of,
)
from walkie_signal.wire.relays import Relays

Pending = Awaitable[None] | None
"""What is left to do of an item; ``None`` if it is done."""


class Gate:
    """Lets the events of one namespace in, and has them carried out.

    Attributes:
        host_hears: Tells whether the host has a handler for an event; the adapter sets it.
        table: Who carries out each message of a peer. They answer it when they have succeeded; if they raise, the
            error is the answer.
        own: Who carries out the items that a node itself adds to a peer's queue.
    """

    host_hears: Callable[[str], bool] = staticmethod(lambda _name: True)

    def __init__(
        self,
        namespace: str,
        settings: Settings,
        answers: Answers,
        limits: Limits,
        signals: Signals,
        *,
        early: Early,
        joins: Joins,
        leaves: Leaves,
        partings: Partings,
        refreshes: Refreshes,
    ) -> None:
        self.table: Mapping[type[Message], Callable[[Peer, Event, Any], Pending]] = {
            JoinRoom: joins.join,
            LeaveRoom: leaves.leave,
            RefreshToken: refreshes.refresh,
            SignalTo: early.carry_out,
        }
        self.own: Mapping[type[Item], Callable[[Peer, Any], Pending]] = {
            Announcement: joins.announce,
            Departure: partings.depart,
        }
        self._namespace = namespace
        self._settings = settings
        self._answers = answers
        self._limits = limits
        self._partings = partings
        self._relays = Relays(prefix_of(namespace), settings)
        self._signals = signals

    def receive_frame(self, peer: Peer, text: str) -> bool:
        """Carry out an event, given as the text of its frame; returns false if the event is not one of ours.

        A plain signal takes the quick way if no earlier event waits.

        Raises:
            ProtocolViolation: It is a malformed event of this namespace.
        """
        counted = False
        plain = self._relays.read(text, peer.head) if peer.idle else None
        if plain is not None and (counted := self._limits.admit(peer, size_of(text))):
            ack_id, target_id, relayed = plain
            if self._signals.send(peer, target_id, relayed, int(ack_id) if ack_id else None):
                return True
        refusal = None if counted else self._limits.refusal(peer)
        too_large = len(text) > self._settings.event_bytes
        is_full = self._is_full(peer, 0 if too_large else len(text))
        if refusal is not None or is_full or too_large:
            event = read_size(text, self._namespace)  # it is refused without being parsed
        else:
            event = read_event(text, self._namespace, self._settings.nesting_depth)
        if event is None or (event.name not in CLIENT_EVENTS and self.host_hears(event.name)):
            return False
        if refusal is not None:
            self._refuse(peer, event, refusal)
            return True
        if not counted:
            self._limits.count(peer, size_of(text))
        if is_full:
            self._answers.fail(peer, event, full())
        else:
            self.receive_event(peer, event)
        return True

    def receive_data(self, peer: Peer, data: list[Any], ack_id: int | None) -> None:
        """Carry out an event whose data a server has parsed; one that nobody handles is answered with an error."""
        if (name := checked_name(data)) in CLIENT_EVENTS:
            event = event_of(data, ack_id, self._settings.nesting_depth)
        else:
            event = Event(name, (), ack_id, 0, None)
        refusal = self._limits.refusal(peer)
        if refusal is not None:
            self._refuse(peer, event, refusal)
        else:
            self._limits.count(peer, event.size or weight_of(data))
            self.receive_event(peer, event)

    def fail_data(self, peer: Peer, data: list[Any], ack_id: int | None, error: Exception) -> None:
        """Answer an event of the host's, parsed by a server, that could not be carried out."""
        self._answers.fail(peer, event_of(data, ack_id, self._settings.nesting_depth), error)

    def receive_event(self, peer: Peer, event: Event) -> None:
        """Carry out an event that has been counted, after the peer's earlier ones."""
        if event.fault is not None or event.size > self._settings.event_bytes:
            # It will be refused in its turn, so its arguments need not be kept until then
            event = event._replace(arguments=(), text=None)
        if self._is_full(peer, memory_of(event)):
            self._answers.fail(peer, event, full())
        else:
            peer.post(event)

    def _is_full(self, peer: Peer, size: int) -> bool:
        """Tell whether so many events of a peer wait that another one of that size may not."""
        settings = self._settings
        return peer.waiting > 0 and (
            peer.waiting >= settings.queued_events or peer.waiting_bytes + size > settings.queued_bytes
        )

    def _refuse(self, peer: Peer, event: Event, refusal: LimitReached) -> None:
        """Answer an event that is over a limit; a peer that goes on is closed."""
        if self._limits.may_be_told(peer):
            self._answers.fail(peer, event, refusal)
        elif not peer.gone:
            self._answers.give_up(peer)
            self._partings.end(peer, "limited")

    def work(self, peer: Peer, item: Item) -> Pending:
        """Do what an item of a peer's queue asks for, at once or in the awaitable that this returns."""
        if not isinstance(item, Event):
            return self.own[type(item)](peer, item)
        try:
            message = read_message(item, self._settings)
            pending = self.table[type(message)](peer, item, message)
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, item, error)
            return None
        return None if pending is None else self._answered(peer, item, pending)

    async def _answered(self, peer: Peer, event: Event, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, event, error)


def full() -> LimitReached:
    """Return the error of an event before which too many wait; such events are counted, so they meet a limit."""
    return LimitReached("too many events wait", "queued_events", 1000)
