"""What an app sends by direct frames when a test asks for it."""

from __future__ import annotations

from typing import Any


def send_in_turn(direct: Any, *sizes: int) -> None:
    """Send a message of each size, of bytes that say which it is."""
    for number, size in enumerate(sizes):
        direct.send(bytes([number % 256]) * size)


def send_together(direct: Any, *sizes: int) -> None:
    """Send two messages of each size at once, between two that go by themselves."""
    for size in sizes:
        direct.send(f"before {size}")
        direct.send_all(["ä" * size, b"\xff" * size])
        direct.send(f"after {size}")
