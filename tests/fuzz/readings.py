"""Everything that reads what a peer sent, and what has to be so for each input.

Only errors that are declared may come out, and where one thing is read in two ways both ways say the same.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import Any, get_args

from walkie_signal.core import payloads
from walkie_signal.core.changes import Member
from walkie_signal.core.peer_events import JoinRoom, Message, SignalTo, read_message
from walkie_signal.errors import ErrorCode, ProtocolViolation, SignalingError
from walkie_signal.settings import Settings
from walkie_signal.wire import json as codec
from walkie_signal.wire import packets
from walkie_signal.wire.event_packets import Event, ack_text, event_of, event_text, prefix_of, read_event
from walkie_signal.wire.frames import MESSAGE, SEPARATOR, Frame, read_payload, write_payload
from walkie_signal.wire.relays import Relays, signal_head, signal_text
from walkie_signal.wire.values import is_deeper, is_text

NAMESPACES = ("/", "/other")
PEER_ID = "sender-_1"
CODES = get_args(ErrorCode)
LIMIT = 1_000_000

TOO_DEEP = "nested too deep"
DEEP = 500
ODD_HEAD = re.compile(r"42(?:/[^,]*\?[^,]*,\d*\s*|(?:/[^,]*,)?\d*\s+)\[")
"""A query behind the namespace, or white space before the data: the inline way leaves that to the ordinary one."""


class Readings:
    """The ways of one server's settings; `seen` counts what came of the inputs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.seen: Counter[str] = Counter()
        self._relays = {namespace: Relays(prefix_of(namespace), settings) for namespace in NAMESPACES}

    def read(self, body: bytes) -> None:
        """Read the body of a POST, as one frame too where it is text.

        Raises:
            AssertionError: Two ways disagree, or an error is not as it is declared.
            Exception: Whatever came out and may not.
        """
        try:
            frames = list(read_payload(body))
        except ProtocolViolation:
            self.seen["no payload"] += 1
        else:
            assert list(read_payload(write_payload(frames))) == frames
            self._converse(frames)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return
        if SEPARATOR in text:
            self._converse([text])

    def _converse(self, frames: list[Frame]) -> None:
        """Read frames one after the other, as the server does, until one breaks the protocol."""
        partial: packets.Partial | None = None
        try:
            for frame in frames:
                if isinstance(frame, str):
                    packet = self._packet(frame) if frame[:1] == MESSAGE else None
                    if packet is not None and packet.attachments:
                        read = functools.partial(packets.read_packet, frame[1:])
                        partial = packets.Partial(packet, read, len(frame), LIMIT)
                elif partial is not None and partial.add(frame):
                    self.seen["attachments"] += 1
                    self._event(event_of_packet(partial.packet(), self.settings))
                    partial = None
        except ProtocolViolation as violation:
            self.seen["violation"] += 1
            assert is_text(str(violation))  # noqa: PT017 - it may come, and then it is to be logged

    def _packet(self, text: str) -> packets.Packet:
        """Read a packet in each way that there is; the ordinary one's violation comes out."""
        packet, violation = None, None
        try:
            packet = packets.read_packet(text[1:])
        except ProtocolViolation as error:
            violation = error
        for namespace in NAMESPACES:
            if namespace in ("/", text[2 : 2 + len(namespace)]):
                self._check_event(text, namespace, packet)
        if violation is not None:
            raise violation
        assert packet is not None
        self.seen["packet"] += 1
        assert packets.namespace_of(text[1:]).partition("?")[0] == packet.namespace
        return packet

    def _check_event(self, text: str, namespace: str, packet: packets.Packet | None) -> None:
        """The inline way and the ordinary one read the same event, or none."""
        plain = self._relays[namespace].read(text, signal_head("", PEER_ID))
        try:
            event = read_event(text, namespace, self.settings.nesting_depth)
        except ProtocolViolation:
            assert packet is None, "inline a violation, else a packet"
            assert plain is None, "a violation is relayed"
            return
        if event is None:
            assert plain is None, "what is no event is relayed"
            ours = packet is not None and (packet.kind, packet.namespace) == (packets.EVENT, namespace)
            assert not ours or ODD_HEAD.match(text), "an event is left out"
            return
        if packet is None:  # nested so deep that the ordinary way refuses it; the inline one answers it
            assert is_deeper(["", *event.arguments], packets.DEEPEST), "inline an event, else a violation"
            return
        other = event_of_packet(packet, self.settings)
        assert (packet.kind, packet.namespace) == (packets.EVENT, namespace)
        assert_same(event, other)
        self._event(event, plain)

    def _event(self, event: Event, plain: tuple[str, str, str] | None = None) -> None:
        self.seen["event"] += 1
        try:
            message = read_message(event, self.settings)
        except SignalingError as error:
            assert plain is None, "an error is relayed"
            assert error.code in CODES  # noqa: PT017 - as above
            self.seen[error.code] += 1
            answer = {"event": event.name.encode(errors="replace").decode(), **error.to_payload()}
            check_text(event_text("", "signal_error", answer))
            return
        self.seen[type(message).__name__] += 1
        if isinstance(message, SignalTo):
            written = signal_text(signal_head("", PEER_ID), message.value)
            check_text(written)
            told = codec.loads(written[2:])[1]
            asked = event.arguments[0]
            assert repr(told) == repr({"fromId": PEER_ID, **{k: asked[k] for k in ("signal",) if k in asked}})
            if plain is not None:
                self._check_relay(plain, event, message, written)
        else:
            assert plain is None
            check_room(message)

    def _check_relay(
        self, plain: tuple[str, str, str], event: Event, message: SignalTo, written: str
    ) -> None:
        """What the quick way relays is what the ordinary one does, to the same peer, with the same ack."""
        self.seen["relayed"] += 1
        ack_id, target_id, relayed = plain
        assert target_id == message.target_id
        assert (int(ack_id) if ack_id else None) == event.ack_id
        check_text(relayed)
        assert relayed == written


def event_of_packet(packet: packets.Packet, settings: Settings) -> Event:
    """Read an event that the server has parsed; an ack is read as if it were one of no name of ours."""
    data = packet.data if packet.kind in (packets.EVENT, packets.BINARY_EVENT) else ["ack", *packet.data]
    return event_of(data, packet.ack_id, settings.nesting_depth)


def assert_same(event: Event, other: Event) -> None:
    """Compare an event by text with one by data, whose size is another's business."""
    assert (event.name, event.ack_id) == (other.name, other.ack_id)
    assert event.fault == TOO_DEEP or repr(event.arguments) == repr(other.arguments)
    assert event.fault == other.fault or not is_text(event.name)


def check_room(message: Message) -> None:
    """What a peer says of itself can be told to others."""
    if isinstance(message, JoinRoom):
        member = Member(PEER_ID, message.room, message.role, message.user_id, "node")
        check_text(event_text("", "new_peer", payloads.new_peer(member, polite=True)))
        check_text(event_text("", "room_status", payloads.room_status(message.room, [member])))
        check_text(ack_text("", 0, payloads.joined(message.room, PEER_ID, [member])))


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is written")


STRICT = json.JSONDecoder(parse_constant=no_constant)


def check_text(text: str) -> None:
    """What is written to others is text, and JSON for each parser that there is: a JavaScript one drops else."""
    assert is_text(text), "a lone surrogate is written"
    STRICT.decode(text[text.index("[") :])


def check_codecs(text: str) -> None:
    """A service must not change when an extra is installed: both parsers read the same, or both refuse.

    How deep each goes is its own business, which `Settings.nesting_depth` keeps from showing.
    """
    if text.count("[") + text.count("{") > DEEP:
        return
    assert outcome(codec.loads, text) == outcome(codec._loads, text)


def outcome(loads: Any, text: str) -> str:
    try:
        return repr(loads(text))
    except ValueError:
        return "refused"
