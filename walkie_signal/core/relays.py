"""A signal on its way: from the text that came to the text that goes. Its value is never written anew.

So a peer gets it as it was sent, whichever way it was read: 0.0 stays 0.0, and an integer of any length itself.

One rule for the quick way, `Relays.read`: what it reads means the same to `core.packets` and `core.messages`;
whatever it does not read (another form, an error, anything unusual) is theirs to read.
"""

from __future__ import annotations

import re

from walkie_signal.core.codec import dumps, is_json_text
from walkie_signal.settings import Settings

KEY = ',"signal":'
"""What stands last in the head of a signal."""


class Relays:
    """Reads and writes the signals of one namespace; `prefix` is `packets.prefix_of` it."""

    def __init__(self, prefix: str, settings: Settings) -> None:
        self._prefix = prefix
        head = rf'42{re.escape(prefix)}(\d{{0,16}})\["signal",\{{"targetId":"([\w-]*)","signal":'
        self._match = re.compile(head + r"(.*)\}\]\Z", re.ASCII | re.DOTALL).match
        self._bytes = settings.event_bytes
        self._depth = settings.nesting_depth

    def read(self, text: str) -> tuple[str, str, str] | None:
        """Read a plain signal: its ack id, empty where none is asked for; its target; its value, which is JSON.

        Returns ``None`` where it is not plain.
        """
        if len(text) > self._bytes or not text.isascii():
            return None
        found = self._match(text)
        if found is None:
            return None
        ack_id, target_id, value = found.groups()
        # A session description is flat, which is found out in a third of the time that counting takes.
        flat = value.find("{", 1) < 0 and "[" not in value
        if not flat and text.count("[") + text.count("{") > self._depth:
            return None
        # One value and no more, so that it can't add keys to what it is put into.
        return (ack_id, target_id, value) if is_json_text(value) else None

    def head(self, peer_id: str) -> str:
        """Write what stands before the value in each signal from a peer."""
        return f'42{self._prefix}["signal",{{"fromId":{dumps(peer_id)}{KEY}'


def signal_text(head: str, value: str | None) -> str:
    """Write a signal of a peer with that `Relays.head`; with ``None`` for the value it has none."""
    return f"{head.removesuffix(KEY)}}}]" if value is None else f"{head}{value}}}]"
