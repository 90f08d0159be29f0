"""``walkie-signal serve``: signaling as a server of its own."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from dataclasses import Field, fields
from typing import Any

import click

from walkie_signal import __version__
from walkie_signal.backends.named import backend_of
from walkie_signal.backends.urls import UnusableURLError
from walkie_signal.cli.descriptors import raise_limit
from walkie_signal.cli.listeners import SocketFile, address_of, bind, is_open, url_of
from walkie_signal.cli.logs import set_up_logs
from walkie_signal.cli.options import ENVIRONMENT_PREFIX, group_of, options_of, variable_name
from walkie_signal.cli.secrets import hide_secrets
from walkie_signal.cli.serving import run
from walkie_signal.cli.variables import unread_variables
from walkie_signal.cli.verifiers import verifier_of
from walkie_signal.cli.webhooks import webhook_of
from walkie_signal.cli.workers import Workers
from walkie_signal.core.origins import Origins
from walkie_signal.settings import ServeOptions, Settings
from walkie_signal.settings.forms import AUTO, MEMORY
from walkie_signal.settings.identity import ALLOW

log = logging.getLogger("walkie_signal")


@click.command()
@options_of(ServeOptions, Settings)
def serve(**values: Any) -> None:
    """Run a signaling server.

    Each option can also be given as the environment variable that is named beside it.
    """
    hide_secrets(
        each for each in fields(ServeOptions) if each.metadata["secret"] and _may_be_secret(each, values)
    )
    options: ServeOptions = group_of(ServeOptions, values)
    settings: Settings = group_of(Settings, values)
    _check(options, settings)
    set_up_logs(options.log_level, options.log_format, several=options.workers > 1)
    known = [variable_name(each) for group in (ServeOptions, Settings) for each in fields(group)]
    for line in unread_variables(os.environ, ENVIRONMENT_PREFIX, known):
        log.warning(line)
    try:
        listener = bind(options)
    except OSError as error:
        where = options.uds or address_of(options.host, options.port)
        raise click.ClickException(f"can't listen on {where}: {error.strerror or error}") from None
    with listener, SocketFile(options.uds):
        raise_limit()
        _run(options, settings, listener)


def _may_be_secret(each: Field[Any], values: dict[str, Any]) -> bool:
    """Tell whether a value holds a secret; where rooms are does if there is somebody's password before its host."""
    value = values[each.name]
    return "://" in value and "@" in value if each.name in ("backend", "redis_url") else bool(value)


def _check(options: ServeOptions, settings: Settings) -> None:
    """Refuse options that don't fit together, or values that can't work, before anything starts."""
    if options.cors_origin != ("*",):
        try:
            Origins(options.cors_origin)
        except ValueError as error:
            raise click.UsageError(f"--cors-origin: {error}") from None
    if bool(options.ssl_certfile) != bool(options.ssl_keyfile):
        raise click.UsageError("give both --ssl-certfile and --ssl-keyfile, or neither")
    if options.workers > 1 and options.backend == MEMORY:
        raise click.UsageError(
            f"--workers {options.workers} with --backend {MEMORY}: each worker would keep its own rooms, and "
            "peers of different workers would never meet; leave the backend out, and the workers share their rooms"
        )
    if options.redis_url and options.backend != AUTO:
        raise click.UsageError("give --backend or --redis-url, not both")
    _check_backend(options)
    webhook_of(options)
    if verifier_of(options) is None and settings.user_connections != ALLOW:
        raise click.UsageError(
            f"--user-connections {settings.user_connections} needs tokens, such as by --jwt-secret-file: otherwise "
            "anybody may claim to be another user"
        )
    if options.ssl_certfile:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                options.ssl_certfile, options.ssl_keyfile
            )
        except (OSError, ssl.SSLError) as error:
            raise click.UsageError(f"--ssl-certfile, --ssl-keyfile: {error}") from None


def _check_backend(options: ServeOptions) -> None:
    """Refuse a backend that can't be used; if the extra is missing, say what to install."""
    option = "--redis-url" if options.redis_url else "--backend"
    try:
        backend_of(options.redis_url or options.backend, "/", Settings())
    except UnusableURLError as error:
        raise click.UsageError(f"{option}: {error}") from None
    except ImportError as error:
        raise click.ClickException(str(error)) from None


def _run(options: ServeOptions, settings: Settings, listener: socket.socket) -> None:
    url = url_of(listener, "https" if options.ssl_certfile else "http", f"/{options.path.strip('/')}/")
    if is_open(listener) and verifier_of(options) is None:
        log.warning(
            "open to other machines, with no authentication: anybody who can reach this port may join any room"
        )
    if options.workers == 1:
        run(
            options,
            settings,
            listener,
            lambda what: log.info("walkie-signal %s listening on %s (%s)", __version__, url, what),
        )
    elif not Workers(options, settings, listener).run(url, __version__):
        raise click.ClickException("a worker could not start")
