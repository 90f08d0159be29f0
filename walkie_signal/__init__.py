"""WebRTC signaling over Socket.IO, for any ASGI app and as a command."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from walkie_signal.asgi import SignalingMiddleware, attach
    from walkie_signal.auth.jwt import JWTAuth
    from walkie_signal.core.changes import Member
    from walkie_signal.core.identity import Credentials, Identity
    from walkie_signal.emitter.awaited import AsyncEmitter
    from walkie_signal.emitter.blocking import Emitter
    from walkie_signal.errors import SignalingError
    from walkie_signal.namespace import SignalingNamespace
    from walkie_signal.settings import Settings
    from walkie_signal.transport import create_server

__version__ = version("walkie-signal")

_HOMES = {
    "AsyncEmitter": "walkie_signal.emitter.awaited",
    "Credentials": "walkie_signal.core.identity",
    "Emitter": "walkie_signal.emitter.blocking",
    "Identity": "walkie_signal.core.identity",
    "JWTAuth": "walkie_signal.auth.jwt",
    "Member": "walkie_signal.core.changes",
    "Settings": "walkie_signal.settings",
    "SignalingError": "walkie_signal.errors",
    "SignalingMiddleware": "walkie_signal.asgi",
    "SignalingNamespace": "walkie_signal.namespace",
    "attach": "walkie_signal.asgi",
    "create_server": "walkie_signal.transport",
}

__all__ = [
    "AsyncEmitter",
    "Credentials",
    "Emitter",
    "Identity",
    "JWTAuth",
    "Member",
    "Settings",
    "SignalingError",
    "SignalingMiddleware",
    "SignalingNamespace",
    "__version__",
    "attach",
    "create_server",
]


def __getattr__(name: str) -> Any:
    """Import a name of the public API when it is asked for: the command's ``--help`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
