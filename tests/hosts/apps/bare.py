"""The least host, which starts quickly: nothing but signaling."""

from __future__ import annotations

import logging
from typing import Any

from walkie_signal import attach

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


async def nothing(scope: Any, _receive: Any, send: Any) -> None:
    """Answer 404; there is no lifespan."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})


app = attach(nothing)
