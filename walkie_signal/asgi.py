"""Joins a signaling namespace, a Socket.IO server and an ASGI app into one ASGI app."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import socketio
from typing_extensions import Unpack

from walkie_signal.backends.machine import MachineBackend
from walkie_signal.core.ports import Transport
from walkie_signal.namespace import Options, SignalingNamespace, transport_of
from walkie_signal.runtime_folder import UnusableError
from walkie_signal.settings.forms import is_path
from walkie_signal.settings.transport import TransportSettings
from walkie_signal.transport import create_server

log = logging.getLogger("walkie_signal")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class SignalingMiddleware:
    """Serves signaling under one path of an ASGI app, and passes all other requests on to the app.

    The app's lifespan goes on working, and also starts and ends signaling. Each request that is passed on
    carries the namespace as ``request.state.signaling``.

    Args:
        app: Any ASGI app.
        path: The path where Socket.IO is served, with or without the last slash, below the app's root path.
        signaling: The namespace; ``None`` creates one from `options`.
        sio: Your own server; ``None`` creates one by `create_server`.
        cors_origins: Origins whose pages may connect, besides the server's own host. Write them as browsers send
            them, such as ``https://example.com``, or with ``*.`` for each host below; ``"*"`` allows any origin,
            without credentials. With `sio`, give them to that server instead.
        options: The options of `SignalingNamespace`.

    Attributes:
        signaling: The namespace.
        sio: The server that it is registered on.
        transport: The connections of that server.

    Raises:
        ValueError: `signaling` and `options` are both given, or `sio` and `cors_origins`; or a handler of
            `sio` would hide one of ours; or `path` is not a path; or no browser sends one of the origins.
    """

    def __init__(
        self,
        app: App,
        *,
        path: str = "/socket.io",
        signaling: SignalingNamespace | None = None,
        sio: socketio.AsyncServer | None = None,
        cors_origins: str | Sequence[str] = "*",
        **options: Unpack[Options],
    ) -> None:
        if signaling is not None and options:
            raise ValueError(f"give signaling, or its options ({', '.join(options)}), not both")
        if not is_path(path):
            raise ValueError(f"path: {path!r} is not the path of an endpoint, such as /socket.io")
        self.app = app
        self.signaling = signaling or SignalingNamespace(**options)
        self.sio = self._serve(sio, cors_origins)
        self.transport = transport_of(self.sio)
        self._path = "/" + path.strip("/")
        self._placed = signaling is not None
        self._root: str | None = None
        if isinstance(self.signaling.backend, MachineBackend):
            self.signaling.backend.serve_at(self._path)
        if self.signaling.backend.shared:
            self.transport.share_requests()

    def _serve(self, sio: Any, cors_origins: str | Sequence[str]) -> Any:
        """Return the server of the namespace, after registering the namespace on it if necessary."""
        registered = getattr(self.signaling, "server", None)
        if registered is not None:
            if sio not in (None, registered):
                raise ValueError("signaling is already registered on another server than sio")
            sio = registered
        if sio is not None and cors_origins != "*":
            raise ValueError(
                "cors_origins has no effect on a server of your own: give it cors_allowed_origins"
            )
        if registered is not None:
            return registered
        sio = sio or make_server(self.signaling.settings, cors_origins)
        sio.register_namespace(self.signaling)
        return sio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        if scope["type"] == "lifespan":
            self._placed = True
            await Lifespan(self.app, self.signaling, self.transport).run(scope, receive, send)
        elif scope["type"] in ("http", "websocket") and self._is_ours(scope):
            self._place(scope.get("root_path", ""))
            await self.transport.serve(scope, receive, send)
        else:
            if scope["type"] in ("http", "websocket"):
                scope.setdefault("state", {})["signaling"] = self.signaling
            await self.app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        """Tell whether a request is for our path, with or without the app's root path before it."""
        path: str = scope["path"].rstrip("/")
        return path == self._path or path == scope.get("root_path", "").rstrip("/") + self._path

    def _place(self, root_path: str) -> None:
        """Tell a middleware that starts with its first request from others by the root path of that.

        Starlette makes the middleware of a mounted app when the first request comes: the order differs in each
        worker, and all are made by one line of Starlette's, but each one stays below its root path.
        """
        backend = self.signaling.backend
        if not self._placed:
            self._placed = True
            if isinstance(backend, MachineBackend) and backend.serve_at(root_path + self._path):
                self._root = root_path
        elif self._root not in (None, root_path):
            log.warning(
                "signaling is mounted at %r and at %r, so workers may not share its rooms; give it a name "
                "(backend=machine:<name>)",
                self._root,
                root_path,
            )
            self._root = None


def attach(
    app: App,
    *,
    path: str = "/socket.io",
    signaling: SignalingNamespace | None = None,
    sio: socketio.AsyncServer | None = None,
    cors_origins: str | Sequence[str] = "*",
    **options: Unpack[Options],
) -> SignalingMiddleware:
    """Put signaling in front of an ASGI app; let the server run the result in place of the app.

    Args:
        app: Any ASGI app: FastAPI, Starlette, Django, …
        path: The path where Socket.IO is served, with or without the last slash, below the app's root path.
        signaling: The namespace; ``None`` creates one from `options`.
        sio: Your own server, with anything else that it serves; ``None`` creates one by `create_server`.
        cors_origins: Origins whose pages may connect, besides the server's own host. Write them as browsers send
            them, such as ``https://example.com``, or with ``*.`` for each host below; ``"*"`` allows any origin,
            without credentials. With `sio`, give them to that server instead.
        options: The options of `SignalingNamespace`.

    Returns:
        An ASGI app; its ``signaling`` is the namespace, by which you ask and order.

    Raises:
        ValueError: `signaling` and `options` are both given, or `sio` and `cors_origins`; or a handler of
            `sio` would hide one of ours; or `path` is not a path; or no browser sends one of the origins.
    """
    return SignalingMiddleware(
        app, path=path, signaling=signaling, sio=sio, cors_origins=cors_origins, **options
    )


def make_server(settings: TransportSettings, cors_origins: str | Sequence[str]) -> socketio.AsyncServer:
    """Make a server as the settings say."""
    named = [cors_origins] if isinstance(cors_origins, str) else list(cors_origins)
    # An empty list would check nothing
    return create_server(settings=settings, cors_allowed_origins=named or None)


class Lifespan:
    """Runs the app's lifespan, and starts and ends the signaling around it.

    Signaling also works if the app has no lifespan, that is, if it raises or returns before it has answered.
    """

    def __init__(self, app: App, signaling: SignalingNamespace, transport: Transport) -> None:
        self._app = app
        self._signaling = signaling
        self._transport = transport
        self._asked = self._answered = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan."""
        self._receive, self._send = receive, send
        try:
            await self._signaling.start()
        except UnusableError as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        try:
            try:
                await self._app(scope, self._ask, self._pass_on)
            except Exception:
                if self._answered:
                    raise
            if not self._answered:
                await self._stand_in()
        finally:
            await self._close()

    async def _close(self) -> None:
        await self._signaling.close()
        await self._transport.close()

    async def _ask(self) -> Message:
        self._asked = True
        return await self._receive()

    async def _pass_on(self, message: Message) -> None:
        self._answered = True
        if message["type"] == "lifespan.shutdown.complete":
            await self._close()
        await self._send(message)

    async def _stand_in(self) -> None:
        if not self._asked:
            await self._receive()
        await self._pass_on({"type": "lifespan.startup.complete"})
        await self._receive()
        await self._pass_on({"type": "lifespan.shutdown.complete"})
