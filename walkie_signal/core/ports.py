"""What the two sides of a connection know of one another.

The namespace speaks to a peer through a `Link`; the transport offers one for each connection. Neither
imports the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

TextHandler = Callable[[str], bool]
"""Takes the text of a frame, whatever it is (``42["signal",{…}]``, say).

Returns whether it took it; what it leaves, what is of another namespace say, goes the ordinary way. It runs
inside the connection's receiving loop, so it never blocks, and raises nothing but
`walkie_signal.errors.ProtocolViolation`, which closes the connection.
"""


class Link(Protocol):
    """One connection, seen from the namespace."""

    def send(self, text: str) -> None:
        """Queue the text of a frame, behind all that was queued before.

        Returns at once and never raises; on a connection that is gone it does nothing.
        """

    def send_latest(self, key: str, text: str) -> None:
        """Queue a text as `send` does, and drop the one sent with the same key before if that still waits."""

    def close(self) -> None:
        """Close the transport for good, behind what was queued before, or at once if that can't be written.

        Returns at once. The connection's disconnect follows as for any other end.
        """

    def listen(self, handler: TextHandler) -> None:
        """Hand the text of each message of this connection to `handler` first, in order of arrival."""
