"""How the text of an incoming signal becomes the text of an outgoing one. Its value is never encoded again.

So a peer gets the value as it was sent, however the signal was read: 0.0 stays 0.0, and a long integer keeps all
its digits.

There is one rule for the quick way, `Relays.read`: what it reads means the same to `wire.event_packets` and
`core.peer_events`. It leaves anything unusual, such as another form or an error, to them.
"""

from __future__ import annotations

import re

from walkie_signal.settings.limits import LimitSettings
from walkie_signal.wire.json import dumps, strict_reader

KEY = ',"signal":'
"""The end of a signal's head."""


class Relays:
    """Reads the plain signals of one namespace; `prefix` is `events.prefix_of` it."""

    def __init__(self, prefix: str, settings: LimitSettings) -> None:
        head = rf'42{re.escape(prefix)}(\d{{0,16}})\["signal",\{{"targetId":"([\w-]*)","signal":'
        self._match = re.compile(head + r"(.*)\}\]\Z", re.ASCII | re.DOTALL).match
        self._check = strict_reader()
        self._bytes = settings.event_bytes
        self._depth = settings.nesting_depth

    def read(self, text: str, head: str) -> tuple[str, str, str] | None:
        """Return the ack id of a plain signal (empty if it asks for no ack), its target, and what that hears.

        Returns ``None`` if the signal is not plain. `head` is the `signal_head` of its sender.
        """
        if len(text) > self._bytes or not (text.isascii() or self._fits(text)):
            return None
        found = self._match(text)
        if found is None:
            return None
        ack_id, target_id, value = found.groups()
        # A session description is flat, and checking that takes a third of the time that counting takes.
        flat = value.find("{", 1) < 0 and "[" not in value
        if not flat and text.count("[") + text.count("{") > self._depth:
            return None
        # It has to be exactly one value, so that it can't add keys to the object that it becomes part of.
        try:
            self._check(value)
        except ValueError:
            return None
        return ack_id, target_id, f"{head}{value}}}]"

    def _fits(self, text: str) -> bool:
        try:
            return len(text.encode()) <= self._bytes
        except UnicodeEncodeError:  # it holds a lone surrogate, which no transport of ours lets through
            return False


def signal_head(prefix: str, peer_id: str) -> str:
    """Return what precedes the value in each signal from a peer."""
    return f'42{prefix}["signal",{{"fromId":{dumps(peer_id)}{KEY}'


def signal_text(head: str, value: str | None) -> str:
    """Return the text of a signal from the peer whose `signal_head` this is; ``None`` means no value."""
    return f"{head.removesuffix(KEY)}}}]" if value is None else f"{head}{value}}}]"
