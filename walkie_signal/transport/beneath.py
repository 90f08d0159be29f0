"""The internals of python-socketio and python-engineio that the transport relies on, and a check of them.

The lists were made from python-socketio 5.18.1 and python-engineio 4.15.1. If a later version differs, `missing`
says in what, and `create_server` returns a stock server, so that an upgrade does not stop a host.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import engineio
import socketio

METHODS: dict[Any, dict[str, tuple[str, ...]]] = {
    socketio.AsyncServer: {
        "_engineio_server_class": ("self",),  # returns our Engine.IO server
        "_handle_eio_connect": ("self", "eio_sid", "environ"),  # keeps the environ, starts the manager
        "_handle_eio_disconnect": ("self", "eio_sid", "reason"),
        "_handle_event_internal": ("self", "server", "sid", "eio_sid", "data", "namespace", "id"),
        "_get_event_handler": ("self", "event", "namespace", "args"),
        "_get_namespace_handler": ("self", "namespace", "args"),
        "_trigger_event": ("self", "event", "namespace", "args"),
        "_send_packet": ("self", "eio_sid", "pkt"),  # acks, emits with a callback
        "_send_eio_packet": ("self", "eio_sid", "eio_pkt"),  # emits of other client managers
        "disconnect": ("self", "sid", "namespace", "ignore_queue"),
    },
    engineio.AsyncServer: {
        "_trigger_event": ("self", "event", "args", "kwargs"),  # connect, message and disconnect handlers
        "_get_socket": ("self", "sid"),  # sessions, `transport`
        "_generate_sid_cookie": ("self", "sid", "attributes"),
        "disconnect": ("self", "sid"),
        "send": ("self", "sid", "data"),
        "send_packet": ("self", "sid", "pkt"),
        "generate_id": ("self",),
    },
    socketio.AsyncManager: {
        "pre_connect": ("self", "eio_sid", "namespace"),
        "connect": ("self", "sid", "namespace"),
        "pre_disconnect": ("self", "sid", "namespace"),
        "disconnect": ("self", "sid", "namespace", "kwargs"),
        "is_connected": ("self", "sid", "namespace"),
        "can_disconnect": ("self", "sid", "namespace"),
        "eio_sid_from_sid": ("self", "sid", "namespace"),
        "get_participants": ("self", "namespace", "room"),
        "trigger_callback": ("self", "sid", "id", "data"),
        "basic_enter_room": ("self", "sid", "namespace", "room", "eio_sid"),  # every way into a room
        "basic_leave_room": ("self", "sid", "namespace", "room"),  # every way out of one
        "basic_disconnect": ("self", "sid", "namespace", "kwargs"),
        "get_rooms": ("self", "sid", "namespace"),
    },
    socketio.AsyncNamespace: {"trigger_event": ("self", "event", "args")},
    socketio.packet.Packet: {"encode": ("self",)},
}
"""Methods that are called or overridden, with their parameters."""

SOCKETIO_ATTRIBUTES = (
    "always_connect", "async_handlers", "eio", "environ", "handlers", "logger", "manager",
    "namespace_handlers", "namespaces", "not_handled", "packet_class", "reason",
)  # fmt: skip

ENGINEIO_ATTRIBUTES = (
    "allow_upgrades", "compression_threshold", "cookie", "cors_allowed_origins", "handlers",
    "http_compression", "max_http_buffer_size", "ping_interval", "ping_interval_grace_period",
    "ping_timeout", "reason", "sockets", "start_service_task", "transports",
)  # fmt: skip

MANAGER_ATTRIBUTES = ("callbacks", "pending_connect", "pending_disconnect", "rooms", "server")


def missing() -> list[str]:
    """List what is not as the transport needs it; the list is empty for the versions that it was written for."""
    return [*_missing_methods(), *_missing_attributes()]


def _missing_methods() -> Iterator[str]:
    for owner, methods in METHODS.items():
        for name, parameters in methods.items():
            method = getattr(owner, name, None)
            if method is None or tuple(inspect.signature(method).parameters) != parameters:
                yield f"{owner.__module__}.{owner.__qualname__}.{name}"


def _missing_attributes() -> Iterator[str]:
    quiet = logging.getLogger("walkie_signal.transport.beneath")
    quiet.setLevel(logging.ERROR)
    server = socketio.AsyncServer(async_mode="asgi", logger=quiet, engineio_logger=quiet)
    wanted = (
        (server, SOCKETIO_ATTRIBUTES), (server.eio, ENGINEIO_ATTRIBUTES), (server.manager, MANAGER_ATTRIBUTES)
    )  # fmt: skip
    for owner, names in wanted:
        for name in names:
            if not hasattr(owner, name):
                yield f"{type(owner).__module__}.{type(owner).__qualname__}.{name}"
