"""How many arguments a function of the host's takes: found out once, because each of its events asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

UNLIMITED = 1 << 30


def arity(function: Callable[..., Any]) -> tuple[int, int]:
    """Return the least and the greatest number of positional arguments; the greatest is below if none will do."""
    try:
        return _found(function)
    except TypeError:  # it can't be kept, because it has no hash
        return _found.__wrapped__(function)


@lru_cache(maxsize=256)
def _found(function: Callable[..., Any]) -> tuple[int, int]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature
        return 0, UNLIMITED
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in positional)
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return least, -1
    most = UNLIMITED if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return least, most
