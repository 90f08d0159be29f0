"""What may be relayed from one peer to another: finite, textual JSON that is not too deep."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any


def fault_of(value: Any, depth: int) -> str | None:
    """Tell why a value can't be relayed, or ``None`` where it can.

    Args:
        value: Anything that a JSON parser, or python-socketio with binary attachments, gives.
        depth: How many lists and objects may stand inside one another.
    """
    level: list[Any] = [value]
    for _ in range(depth + 1):
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if (fault := _fault_of_keys(item)) is not None:
                    return fault
                inside.extend(item.values())
            elif isinstance(item, (list, tuple)):
                inside.extend(item)
            elif (fault := _fault_of_scalar(item)) is not None:
                return fault
        if not inside and not any(isinstance(item, (dict, list, tuple)) for item in level):
            return None
        level = inside
    return "nested too deep"


def _fault_of_keys(keys: Iterable[Any]) -> str | None:
    for key in keys:
        if not isinstance(key, str):
            return "an object's key that is no string"
        if not is_text(key):
            return "a lone surrogate"
    return None


def _fault_of_scalar(item: Any) -> str | None:
    if isinstance(item, str):
        return None if is_text(item) else "a lone surrogate"
    if isinstance(item, float):
        return None if isfinite(item) else "a number that is not finite"
    if item is None or isinstance(item, int):
        return None
    if isinstance(item, (bytes, bytearray, memoryview)):
        return "binary data"
    return "a value that is not JSON"


def is_text(string: str) -> bool:
    """Tell whether a string can be written as UTF-8, that is, holds no lone surrogate."""
    if string.isascii():
        return True
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
