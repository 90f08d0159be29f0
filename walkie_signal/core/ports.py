"""What the namespace and the transport know about one another.

The namespace speaks to a peer through a `Link`; the transport offers one for each connection. Neither
imports the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

TextHandler = Callable[[str], bool]
"""Takes the text of any frame, such as ``42["signal",{…}]``.

Returns whether it has dealt with the frame. If not, for example if the frame belongs to another namespace, the
frame goes the ordinary way. It runs inside the connection's receiving loop, so it never blocks. It only raises
`walkie_signal.errors.ProtocolViolation`, which closes the connection.
"""


class Link(Protocol):
    """One connection, as the namespace sees it."""

    def send(self, text: str) -> None:
        """Queue the text of a frame, behind all frames that were queued before.

        It returns at once and never raises. If the connection is gone, it does nothing.
        """

    def send_latest(self, key: str, text: str) -> None:
        """Queue a text as `send` does, and drop the earlier text with the same key if it still waits."""

    def close(self) -> None:
        """Close the transport for good, after what was queued before, or at once if that can't be written.

        It returns at once. The disconnect of the connection follows, as after any other end.
        """

    def listen(self, handler: TextHandler) -> None:
        """Give `handler` the text of each message of this connection first, in order of arrival."""
