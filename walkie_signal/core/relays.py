"""The quick way of a signal: from the text that came to the text that goes, without writing its value anew.

One rule: what this reads means the same to `core.packets` and `core.messages`; whatever it does not read (another
form, an error, anything unusual) is theirs to read.
"""

from __future__ import annotations

import re

from walkie_signal.core.codec import dumps, loads
from walkie_signal.settings import Settings


class Relays:
    """Reads and writes the signals of one namespace; `prefix` is `packets.prefix_of` it."""

    def __init__(self, prefix: str, settings: Settings) -> None:
        self._prefix = prefix
        self._signal = re.compile(
            rf'2{re.escape(prefix)}(\d{{0,16}})\["signal",\{{"targetId":"([\w-]*)","signal":', re.ASCII
        )
        self._bytes = settings.event_bytes
        self._depth = settings.nesting_depth

    def read(self, text: str) -> tuple[str, str, str] | None:
        """Read a plain signal: its ack id, empty where none is asked for; its target; its value, which is JSON.

        Returns ``None`` where it is not plain.
        """
        if len(text) > self._bytes or not text.isascii() or "\\u" in text:
            return None
        found = self._signal.match(text)
        if found is None or text[-2:] != "}]" or text.count("[") + text.count("{") > self._depth:
            return None
        value = text[found.end() : -2]
        try:
            loads(value)  # one value and no more, so that it can't add keys to what it is put into
        except ValueError:
            return None
        return found[1], found[2], value

    def head(self, peer_id: str) -> str:
        """Write what stands before the value in each signal from a peer."""
        return f'2{self._prefix}["signal",{{"fromId":{dumps(peer_id)},"signal":'
