"""A strict, tuned Engine.IO server under python-socketio's API.

There are three rules for this folder: only the pure functions of `walkie_signal.wire` read bytes of a client; a
connection that breaks the protocol is closed at once, with one line in the log; nothing is sent by awaiting a peer.
It knows nothing of rooms and signals: a namespace reaches it through `walkie_signal.core.ports`.

    engineio   sessions, and what carries them
    workers    requests that come to a worker that does not hold their session; it builds on `engineio`
    socketio   python-socketio's server on top of both
    beneath    what we rely on in the libraries below
"""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

from socketio import AsyncServer

from walkie_signal.settings.transport import TransportSettings
from walkie_signal.supervisors import key_of_this_worker
from walkie_signal.transport.engineio.cors import for_stock, names_everybody

log = logging.getLogger("walkie_signal.transport")


def create_server(
    *,
    settings: TransportSettings | None = None,
    outbox_bytes: int | None = None,
    outbox_messages: int | None = None,
    stall_timeout: float | None = None,
    connect_timeout: float | None = None,
    hand_over: bool | None = None,
    **options: Any,
) -> Any:
    """Create a `socketio.AsyncServer` with walkie-signal's own transport.

    Args:
        settings: The times and bounds of connections; `Settings` will do. ``None`` takes the defaults.
        outbox_bytes: How many bytes may wait for a connection that does not read before it is closed.
        outbox_messages: How many messages may wait for such a connection.
        stall_timeout: How many seconds messages may wait without progress before the connection is closed.
        connect_timeout: How many seconds a connection may take to join a namespace. Like the three above, it goes
            before `settings`, and ``None`` leaves it to them.
        hand_over: Whether several worker processes serve one port, without sticky sessions in front of them;
            ``None`` if this process is a worker of uvicorn, gunicorn, hypercorn or granian. A request is then
            handed over to the worker that holds its session, by Unix sockets in ``walkie-signal-<uid>``, in
            ``RUNTIME_DIRECTORY`` or ``XDG_RUNTIME_DIR`` if one is set, otherwise in the folder for temporary files.
            If that folder can't be used, there is one warning in the log, and no hand-over.
        options: The options of `socketio.AsyncServer`. The defaults of ``ping_interval``, ``ping_timeout`` and
            ``max_http_buffer_size`` are those of `settings`. Others differ in ``cors_credentials``, which are not
            allowed if every origin is, and in ``json`` and ``logger``, which only hold for this server.
            ``cors_allowed_origins`` takes the values of ``cors_origins`` of `attach`, a function, or ``[]``, which
            checks nothing.

    Returns:
        The server. If the transport does not know the installed versions of python-socketio and python-engineio,
        it is a stock server, with one warning in the log.

    Raises:
        ValueError: An option can't be used here: another ``async_mode`` than ``asgi``, credentials for every
            origin, or an origin that no browser sends.
    """
    given = {
        "outbox_bytes": outbox_bytes,
        "outbox_messages": outbox_messages,
        "stall_timeout": stall_timeout,
        "connect_timeout": connect_timeout,
    }
    settings = _with(given, settings or TransportSettings())
    checked = _checked(options, settings)
    try:
        from walkie_signal.transport import beneath  # noqa: PLC0415 - its imports may fail

        problems = beneath.missing()
    except Exception as error:  # noqa: BLE001 - the host must go on, whatever an upgrade has changed
        problems = [repr(error)]
    if problems:
        return _stock(checked, problems)
    from walkie_signal.transport.socketio.emits import Rooms  # noqa: PLC0415 - before, the import might have failed
    from walkie_signal.transport.socketio.server import Server  # noqa: PLC0415

    if checked.get("client_manager") is None:
        checked["client_manager"] = Rooms()
    shares = key_of_this_worker() is not None if hand_over is None else hand_over
    return Server(settings=settings, hand_over=shares, **checked)


class _AsGiven(TransportSettings):
    """Values that a call of `create_server` gives one by one: it takes those too that are out of the bounds."""

    def __post_init__(self) -> None:
        pass


def _with(given: dict[str, Any], settings: TransportSettings) -> TransportSettings:
    changed = {name: value for name, value in given.items() if value is not None}
    values = {each.name: getattr(settings, each.name) for each in fields(TransportSettings)}
    return _AsGiven(**{**values, **changed}) if changed else settings


def _checked(options: dict[str, Any], settings: TransportSettings) -> dict[str, Any]:
    if options.get("async_mode", "asgi") != "asgi":
        raise ValueError("create_server only makes servers for ASGI: leave async_mode out")
    everybody = names_everybody(options.get("cors_allowed_origins"))
    if everybody and options.get("cors_credentials"):
        raise ValueError(
            "cors_credentials with any origin would let every web page use them: name the origins"
        )
    defaults = {
        name: getattr(settings, name) for name in ("ping_interval", "ping_timeout", "max_http_buffer_size")
    }
    checked = {**defaults, "cors_credentials": not everybody, **options, "async_mode": "asgi"}
    for key, name in (("logger", "socketio"), ("engineio_logger", "engineio")):
        if checked.get(key, False) is False:
            checked[key] = _quiet(name)
    return checked


def _quiet(name: str) -> logging.Logger:
    """Return a logger for errors only; with ``False`` python-socketio sets up its own for the whole process."""
    logger = log.getChild(name)
    logger.setLevel(logging.ERROR)
    return logger


def _stock(options: dict[str, Any], problems: list[str]) -> Any:
    log.warning(
        "walkie-signal's transport does not know this version of python-socketio (%s): a stock server is used, "
        "without bounded outboxes, strict parsing and prompt kicks. Install a version that walkie-signal asks for.",
        ", ".join(problems),
    )
    options["cors_allowed_origins"] = for_stock(options.get("cors_allowed_origins"))
    return AsyncServer(**options)
