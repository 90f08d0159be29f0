"""A host for two workers of uvicorn: FastAPI with a lifespan and routes of its own, signaling under a prefix."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request

from walkie_signal import attach


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    scheduler = asyncio.create_task(asyncio.sleep(3600))
    yield {"scheduler": scheduler}
    scheduler.cancel()
    with suppress(asyncio.CancelledError):
        await scheduler


host = FastAPI(lifespan=lifespan)


@host.get("/api/health")
async def health(request: Request) -> dict[str, Any]:
    return {"scheduler": not request.state.scheduler.done(), "pid": os.getpid()}


app = attach(host, path="/api/socket.io", backend=os.environ["REDIS_URL"])
