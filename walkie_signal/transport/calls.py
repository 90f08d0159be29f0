"""Calling a host's handlers with as many arguments as they take.

python-socketio finds that out by calling: a `TypeError` of the handler's own makes it call a second time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

UNLIMITED = 1 << 30


class Misfit(TypeError):  # noqa: N818 - the client's, and told to the log alone
    """A client's event has another number of arguments than its handler takes."""


@lru_cache(maxsize=256)
def arity(handler: Callable[..., Any]) -> tuple[int, int]:
    """Return how many positional arguments a handler takes, at least and at most."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature
        return 0, UNLIMITED
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in positional)
    most = UNLIMITED if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return least, most


def fitted(event: str, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments to call a handler with: older ones take no auth, or no reason.

    Raises:
        Misfit: It does not take what the client sent.
    """
    least, most = arity(handler)
    if event in ("connect", "disconnect") and len(arguments) > most:
        arguments = arguments[:-1]
    if not least <= len(arguments) <= most:
        raise Misfit(f"takes {least} to {most} arguments, not {len(arguments)}")
    return arguments


async def called(event: str, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a handler, sync or async.

    One that lets a cancellation out has returned nothing, as ever; but a connect handler that did has let
    nobody in.
    """
    try:
        result = handler(*fitted(event, handler, arguments))
        return await result if inspect.isawaitable(result) else result
    except asyncio.CancelledError:
        if event == "connect":
            raise
        return None
