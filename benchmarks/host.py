"""A host on plain uvicorn: ``uvicorn host:app``."""

from __future__ import annotations

from typing import Any

from walkie_signal import attach


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Take the place of a host's own app."""
    raise NotImplementedError(scope["type"])


app = attach(nothing)
