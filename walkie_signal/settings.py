"""Every setting, its default and its text, in one place.

There are two groups: `Settings` are those of a signaling server wherever it runs; `ServeOptions` are those that
only the command ``walkie-signal serve`` has. The command's options, the names in its environment and the settings
page of the documentation are derived from the fields.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from math import isfinite
from typing import Any, ClassVar


def setting(default: Any, text: str, **facts: Any) -> Any:
    """Declare a field with its text and its bounds.

    Args:
        default: Used if no value is given.
        text: One sentence for ``--help`` and the settings page.
        facts: ``unit`` (shown), ``above``, ``least`` or ``most`` (a bound), ``choices`` (the allowed values),
            ``form`` (a function that tells whether a string, or each of several, is allowed) with ``write`` (the
            advice in the error if it is not).
    """
    return field(default=default, metadata={"text": text, **facts})


@dataclass(frozen=True, kw_only=True)
class Group:
    """Settings that belong together, checked when they are made."""

    title: ClassVar[str]

    def __post_init__(self) -> None:
        for each in fields(self):
            fault = out_of_bounds(each, getattr(self, each.name))
            if fault is not None:
                raise ValueError(f"{each.name}: {fault}")


def out_of_bounds(each: Field[Any], value: Any) -> str | None:
    """Return what is wrong with a value for a field, or ``None`` if nothing is."""
    return next(_faults(each, value), None)


def _faults(each: Field[Any], value: Any) -> Iterator[str]:
    facts = each.metadata
    expected = type(each.default)
    if expected in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, expected))):
        yield f"{value!r} is not {'a whole number' if expected is int else 'a number'}"
    if isinstance(value, float) and not isfinite(value):
        yield f"{value!r} is not finite"
    if "above" in facts and not value > facts["above"]:
        yield f"{value!r} is not above {facts['above']}"
    if "least" in facts and not value >= facts["least"]:
        yield f"{value!r} is below {facts['least']}"
    if "most" in facts and not value <= facts["most"]:
        yield f"{value!r} is above {facts['most']}"
    if "choices" in facts and value not in facts["choices"]:
        yield f"{value!r} is not one of {', '.join(facts['choices'])}"
    if "form" in facts:
        for one in value if isinstance(value, tuple) else (value,):
            if not facts["form"](one):
                yield f"{one!r} will not do: write {facts['write']}"


def is_path(value: str) -> bool:
    """Tell whether a string is the path of an endpoint: something between slashes, and no query."""
    return re.fullmatch(r"/?[^/?#\s]+(/[^/?#\s]+)*/?", value) is not None


UNIX_SOCKET = "unix:"
"""All clients of the Unix socket, in a list of addresses; nginx uses the same word in ``set_real_ip_from``."""


def is_network(value: str) -> bool:
    """Tell whether a string is an IP address or network, ``unix:`` or ``*``."""
    try:
        return value in ("*", UNIX_SOCKET) or bool(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return False


def is_prefix(value: str) -> bool:
    """Tell whether a string can begin the names of keys: printable ASCII without spaces and braces."""
    return re.fullmatch(r"[!-z|~]+", value) is not None


def is_redis_url(value: str) -> bool:
    """Tell whether a string is a URL of a Redis server, or empty."""
    return re.fullmatch(r"|(rediss?(\+sentinel)?|unix)://\S+", value) is not None


@dataclass(frozen=True, kw_only=True)
class Settings(Group):
    """The settings of a signaling server, wherever it runs.

    Raises:
        ValueError: A value is of the wrong type or out of its bounds; the text names the field.
    """

    title: ClassVar[str] = "Signaling"

    room_capacity: int = setting(1000, "How many members a room may have.", least=1)
    rooms_per_peer: int = setting(
        1,
        "How many rooms a peer may be in at once. With 1, joining another room moves the peer; "
        "with more, it adds a room.",
        least=1,
    )
    room_name_length: int = setting(128, "Longest room name.", unit="characters", least=1)
    role_length: int = setting(64, "Longest role.", unit="characters", least=0)
    user_id_length: int = setting(64, "Longest user id.", unit="characters", least=1)
    event_bytes: int = setting(65_536, "Largest event of a peer, encoded.", unit="bytes", least=1024)
    nesting_depth: int = setting(
        64, "Deepest nesting of lists and objects in an event.", unit="levels", least=4
    )
    queued_events: int = setting(
        128, "How many events of a peer may wait while an earlier one is under way.", least=1
    )
    queued_bytes: int = setting(
        1 << 20,
        "What those events may hold, as text, before the next one is refused.",
        unit="bytes",
        least=1024,
    )
    status_interval: float = setting(
        0.2,
        "Shortest time between two room_status events of a room, after the first.",
        unit="seconds",
        least=0,
    )
    # 67 Mbit/s: a room of 150 keeps the interval above; one of 1,000 (70 MB for all) has a roster every 8 s or so
    status_bytes: int = setting(
        8 << 20,
        "How much the room_status events of a room may add up to on a node, on average; in a large room they "
        "come less often.",
        unit="bytes a second",
        least=1024,
    )
    # Apps do this when a person wants to be called again; in a room of 1,000 it then costs some 30 KB a second
    announce_interval: float = setting(
        5.0,
        "Shortest time between two new_peer events about a peer that joins its room again and changes nothing.",
        unit="seconds",
        least=0,
    )
    callback_timeout: float = setting(
        5.0,
        "How long a function of the host (authenticate, authorize, a hook) may take.",
        unit="seconds",
        above=0,
    )
    callback_threads: int = setting(8, "Threads for the functions of the host that are not async.", least=1)
    ping_interval: float = setting(10.0, "Time between two pings to a peer.", unit="seconds", above=0)
    ping_timeout: float = setting(8.0, "How long a peer has to answer a ping.", unit="seconds", above=0)
    drain_spread: float = setting(
        5.0,
        "Time over which the peers of a closing server are told to come back, so that not all do so at once.",
        unit="seconds",
        least=0,
    )
    connect_timeout: float = setting(
        10.0, "How long a connection may take to join the namespace.", unit="seconds", above=0
    )
    max_http_buffer_size: int = setting(1_000_000, "Largest frame or request body.", unit="bytes", least=1024)
    outbox_bytes: int = setting(
        1 << 20,
        "How much may wait for a peer that does not read before it is closed.",
        unit="bytes",
        least=1024,
    )
    outbox_messages: int = setting(1000, "How many messages may wait for such a peer.", least=1)
    stall_timeout: float = setting(
        10.0,
        "How long messages may wait for a peer without progress before it is closed.",
        unit="seconds",
        above=0,
    )
    redis_prefix: str = setting(
        "walkie-signal",
        "The beginning of the names of all keys and channels in Redis; services with the same prefix share rooms.",
        form=is_prefix,
        write="printable ASCII characters without spaces and braces, such as walkie-signal",
    )


@dataclass(frozen=True, kw_only=True)
class ServeOptions(Group):
    """The further settings of the command ``walkie-signal serve``."""

    title: ClassVar[str] = "The command"

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 or :: for every address of the machine.")
    port: int = setting(8000, "Port to listen on; 0 picks a free one.", least=0, most=65_535)
    uds: str = setting("", "Path of a Unix socket to listen on, in place of host and port.")
    path: str = setting(
        "/socket.io", "Path of the Socket.IO endpoint.", form=is_path, write="a path such as /socket.io"
    )
    redis_url: str = setting(
        "",
        "URL of the Redis server that joins this node with others into one service, such as "
        "redis://user:password@host:6379/0, or of its sentinels, such as redis+sentinel://host1,host2/service/0; "
        "without it rooms are kept in memory.",
        form=is_redis_url,
        write="a URL such as redis://user:password@host:6379/0",
    )
    workers: int = setting(
        1, "How many processes serve the port together; more than one need a redis_url.", least=1
    )
    cors_origin: tuple[str, ...] = setting(
        ("*",),
        "Origin whose pages may connect, such as https://example.com, or https://*.example.com for each host "
        "below it; * for any origin, without credentials.",
    )
    trusted_proxy: tuple[str, ...] = setting(
        (),
        "Address or network of a proxy whose X-Forwarded-For and X-Forwarded-Proto are trusted; "
        "unix: for every client of the --uds socket, * for every client.",
        form=is_network,
        write="an IP address such as 127.0.0.1, a network such as 10.0.0.0/8, unix: or *",
    )
    head_timeout: float = setting(
        10.0,
        "How long a connection may take for a TLS handshake, and then to send the head of a request.",
        unit="seconds",
        above=0,
    )
    ssl_certfile: str = setting("", "File with the TLS certificate, in PEM format.")
    ssl_keyfile: str = setting("", "File with the private key of that certificate, in PEM format.")
    log_level: str = setting(
        "info", "Least severe messages to log.", choices=("debug", "info", "warning", "error")
    )
    log_format: str = setting("text", "Format of a line in the log.", choices=("text", "json"))
