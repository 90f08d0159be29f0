"""Calls a host's handlers with as many arguments as they take.

python-socketio finds that number out by calling, so if a handler itself raises a `TypeError`, it is called twice.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from walkie_signal.arity import arity


class MisfitError(TypeError):
    """A client's event has another number of arguments than its handler takes."""


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
