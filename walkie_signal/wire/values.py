"""What may be relayed from one peer to another: finite, textual JSON that is not too deep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any


def fault_of(value: Any, depth: int) -> str | None:
    """Return why a value can't be relayed, or ``None`` if it can.

    Args:
        value: Anything that a JSON parser returns, or python-socketio with binary attachments.
        depth: How many levels of lists and objects there may be.
    """
    for number, level in enumerate(_levels(value)):
        if number > depth:
            return "nested too deep"
        for item in level:
            if isinstance(item, dict):
                fault = _fault_of_keys(item)
            else:
                fault = None if isinstance(item, (list, tuple)) else _fault_of_scalar(item)
            if fault is not None:
                return fault
    return None


def is_deeper(value: Any, depth: int) -> bool:
    """Tell whether there are more levels of lists and objects than `depth`."""
    return any(number > depth for number, _ in enumerate(_levels(value)))


def _levels(value: Any) -> Iterator[list[Any]]:
    """Yield the items inside no list or object, inside one, inside two, …, without recursion."""
    level = [value]
    while True:
        yield level
        containers = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not containers:
            return
        level = [item for each in containers for item in (each.values() if isinstance(each, dict) else each)]


def _fault_of_keys(keys: Iterable[Any]) -> str | None:
    for key in keys:
        if not isinstance(key, str):
            return "an object's key that is not a string"
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
    """Tell whether a string can be written as UTF-8, because it holds no lone surrogate."""
    if string.isascii():
        return True
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
