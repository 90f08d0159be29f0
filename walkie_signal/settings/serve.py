"""The settings that only the command ``walkie-signal serve`` has."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.auth import AuthOptions
from walkie_signal.settings.declaration import Group, setting
from walkie_signal.settings.forms import AUTO, is_backend, is_network, is_path, is_redis_url
from walkie_signal.settings.webhook import WebhookOptions


@dataclass(frozen=True, kw_only=True)
class ServerOptions(Group):
    """Where the command listens, what it trusts, and how it logs."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 or :: for every address of the machine.",
        reason="uvicorn's: without authentication, nobody on another machine gets in unless an operator wants it.",
    )
    port: int = setting(
        8000,
        "Port to listen on; 0 picks a free one.",
        least=0,
        most=65_535,
        reason="uvicorn's.",
    )
    uds: str = setting(
        "",
        "Path of a Unix socket to listen on, in place of host and port.",
        reason="Only a proxy on the same machine can use one.",
    )
    path: str = setting(
        "/socket.io",
        "Path of the Socket.IO endpoint.",
        form=is_path,
        write="a path such as /socket.io",
        reason="Where the stock clients look for it.",
    )
    backend: str = setting(
        AUTO,
        "Where rooms are kept: auto, which is machine with several workers and memory with one; memory; machine, "
        "for the workers of this command; machine:NAME, for all commands of this machine that give the same "
        "name; or a redis_url.",
        form=is_backend,
        write="auto, memory, machine, machine:name, machine:/absolute/folder or a URL of Redis",
        secret=True,
        reason="Nobody has to know how many workers there are.",
    )
    redis_url: str = setting(
        "",
        "URL of the Redis server that joins this node with others into one service, such as "
        "redis://user:password@host:6379/0, or of its sentinels, such as redis+sentinel://host1,host2/service/0; "
        "the same as giving it as the backend.",
        form=is_redis_url,
        write="a URL such as redis://user:password@host:6379/0",
        secret=True,
        reason="One node needs no store beside its own memory.",
    )
    workers: int = setting(
        1,
        "How many processes serve the port together; they share rooms by themselves.",
        least=1,
        reason="uvicorn's; one process relays tens of thousands of signals a second.",
    )
    cors_origin: tuple[str, ...] = setting(
        ("*",),
        "Origin whose pages may connect, such as https://example.com, or https://*.example.com for each host "
        "below it; * for any origin, without credentials.",
        reason="What the Node server allowed. Without credentials a browser sends no cookie, so a page speaks in "
        "nobody's name.",
    )
    trusted_proxy: tuple[str, ...] = setting(
        (),
        "Address or network of a proxy whose X-Forwarded-For and X-Forwarded-Proto are trusted; "
        "unix: for every client of the --uds socket, * for every client.",
        form=is_network,
        write="an IP address such as 127.0.0.1, a network such as 10.0.0.0/8, unix: or *",
        reason="Whoever is trusted may claim any address. uvicorn trusts 127.0.0.1, and with it every program of "
        "the machine.",
    )
    head_timeout: float = setting(
        10.0,
        "How long a connection may take for a TLS handshake, and then to send the head of a request.",
        unit="seconds",
        above=0,
        reason="What `connect_timeout` gives to the next step; nginx and Node take 60 s for a head, Apache 20 s at "
        "first. uvicorn has no bound: a connection that sends nothing stays.",
    )
    ssl_certfile: str = setting(
        "",
        "File with the TLS certificate, in PEM format.",
        reason="Mostly a proxy in front has it.",
    )
    ssl_keyfile: str = setting(
        "",
        "File with the private key of that certificate, in PEM format.",
        reason="As for the certificate.",
    )
    log_level: str = setting(
        "info",
        "Least severe messages to log.",
        choices=("debug", "info", "warning", "error"),
        reason="At that level there is no line for each request, nor for each peer that comes and goes.",
    )
    log_format: str = setting(
        "text",
        "Format of a line in the log.",
        choices=("text", "json"),
        reason="A person can read it, and journald and Docker add nothing that needs parsing.",
    )


@dataclass(frozen=True, kw_only=True)
class ServeOptions(WebhookOptions, AuthOptions, ServerOptions):
    """The further settings of the command ``walkie-signal serve``."""
