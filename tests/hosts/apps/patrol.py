"""A host for the command lines of ASGI servers: FastAPI with a lifespan, one file, as a host writes it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from walkie_signal import SignalingMiddleware, attach

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    print("lifespan started", flush=True)  # noqa: T201 - for the test to see
    yield {}
    print("lifespan ended", flush=True)  # noqa: T201


def make() -> FastAPI:
    """Make an app with a route of its own."""
    made = FastAPI(lifespan=lifespan)
    made.add_api_route("/ping", lambda: "pong")
    return made


app = make()
app.add_middleware(SignalingMiddleware, path="/api/socket.io")

attached = attach(make(), path="/api/socket.io")
