"""A node's way to the store, as those above it see it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.errors import SignalingError

REPLY_TIMEOUT = 1.5
"""Seconds for an answer; after that the connections are given up, and waiting requests fail as `unavailable`."""


class Node(NamedTuple):
    """What a way to a store and the store itself know of the node.

    Attributes:
        incarnation: Which node it is.
        lifetime: How long this process may go on as that node.
        restore: Makes everything right on new connections; requests are taken once it has.
        hear: Takes a channel and what was published on it.
        down: Called when the uplink was up, or about to be, and is not any more.
    """

    incarnation: Incarnation
    lifetime: Lifetime
    restore: Callable[[], Awaitable[None]]
    hear: Callable[[bytes, bytes], None]
    down: Callable[[], None]


class Uplink(Protocol):
    """The way of one node to the store. When it comes back after an end, everything is made right on it."""

    @property
    def name(self) -> str:
        """The name of the store in the command's output and in the log."""

    @property
    def up(self) -> bool:
        """Whether requests are taken; each signal asks this."""

    async def start(self, within: float) -> None:
        """Connect; returns once the uplink is up. After `within` seconds it returns too, and goes on trying."""

    async def close(self) -> None:
        """End the connections."""

    def lose(self, why: str) -> None:
        """Give up the connections, and connect again."""

    def check(self) -> None:
        """Do nothing while requests are taken.

        Raises:
            SignalingError: ``unavailable`` while they are not.
        """


def unavailable() -> SignalingError:
    """Return the error for requests that can't be carried out while the store is away."""
    later = round(random.uniform(500, 2000))  # noqa: S311
    return SignalingError("unavailable", "the service is cut off; try again", retryAfterMs=later)
