"""A host on plain uvicorn: ``uvicorn host:app``."""

from __future__ import annotations

from typing import Any

from servers import RAISED

from walkie_signal import Settings, attach


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Be a host's own app, which does nothing."""
    raise NotImplementedError(scope["type"])


app = attach(nothing, settings=Settings(**{name: int(value) for name, value in RAISED.items()}))
