"""Calls a host's handlers with as many arguments as they take.

python-socketio finds that number out by calling, so if a handler itself raises a `TypeError`, it is called twice.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

UNLIMITED = 1 << 30


class MisfitError(TypeError):
    """A client's event has another number of arguments than its handler takes."""


@lru_cache(maxsize=256)
def arity(handler: Callable[..., Any]) -> tuple[int, int]:
    """Return the least and the greatest number of positional arguments that a handler takes."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature
        return 0, UNLIMITED
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in positional)
    most = UNLIMITED if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return least, most


def fitted(event: str, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments to call a handler with; older handlers take no auth, or no reason.

    Raises:
        MisfitError: The handler does not take as many arguments as the client sent.
    """
    least, most = arity(handler)
    if event in ("connect", "disconnect") and len(arguments) > most:
        arguments = arguments[:-1]
    if not least <= len(arguments) <= most:
        raise MisfitError(f"takes {least} to {most} arguments, not {len(arguments)}")
    return arguments


async def called(event: str, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a handler, sync or async.

    If a handler lets a cancellation out, that counts as returning nothing, as in python-socketio. But a connect
    handler that does so lets nobody in.
    """
    try:
        result = handler(*fitted(event, handler, arguments))
        return await result if inspect.isawaitable(result) else result
    except asyncio.CancelledError:
        if event == "connect":
            raise
        return None
