"""The ways that a FastAPI app takes signaling in: ``attach``, its own server, the namespace alone, middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import socketio
from fastapi import FastAPI, Request, WebSocket

from walkie_signal import SignalingMiddleware, SignalingNamespace, attach, create_server

SERVERS: dict[str, Callable[..., Any]] = {
    # python-socketio's client waits for its last poll, which a stock server leaves to these two
    "stock": lambda **options: socketio.AsyncServer(
        async_mode="asgi", ping_interval=1, ping_timeout=1, **options
    ),
    "create_server": create_server,
}
"""How a host makes a server of its own."""


@dataclass
class Site:
    """A host with signaling in it.

    Attributes:
        app: The FastAPI object.
        asgi: What the ASGI server runs.
        lived: What the app's lifespan did.
    """

    app: FastAPI
    asgi: Any = None
    lived: list[str] = field(default_factory=list)


def site() -> Site:
    """Make a FastAPI app with a lifespan, a route and a WebSocket of its own."""
    lived: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        lived.append("startup")
        yield {"scheduler": "runs"}
        lived.append("shutdown")

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health(request: Request) -> dict[str, Any]:
        signaling = getattr(request.state, "signaling", None)
        rooms = None if signaling is None else await signaling.rooms()
        return {"scheduler": request.state.scheduler, "rooms": rooms}

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    return Site(app, lived=lived)


def by_attach(app: FastAPI, path: str, **options: Any) -> Any:
    return attach(app, path=path, **options)


def by_own_server(app: FastAPI, path: str, **options: Any) -> Any:
    sio = SERVERS["stock"](cors_allowed_origins="*", cors_credentials=False)
    return attach(app, path=path, sio=sio, **options)


def by_namespace_alone(app: FastAPI, path: str, **options: Any) -> Any:
    sio = SERVERS["stock"](cors_allowed_origins="*", cors_credentials=False)
    sio.register_namespace(SignalingNamespace("/", **options))
    return socketio.ASGIApp(sio, app, socketio_path=path)


def by_middleware(app: FastAPI, path: str, **options: Any) -> Any:
    app.add_middleware(SignalingMiddleware, signaling=SignalingNamespace("/", **options), path=path)
    return app


def by_middleware_with_options(app: FastAPI, path: str, **options: Any) -> Any:
    app.add_middleware(SignalingMiddleware, path=path, **options)
    return app


Way = Callable[..., Any]

WAYS: dict[str, Way] = {
    "attach": by_attach,
    "own-server": by_own_server,
    "namespace-alone": by_namespace_alone,
    "middleware": by_middleware,
    "middleware-options": by_middleware_with_options,
}

OURS = {name: way for name, way in WAYS.items() if name != "namespace-alone"}
"""Those in which the requests go through a wrapper of ours."""
