"""Strict JSON: it only reads what the JSON parser of any peer can also read.

It refuses NaN, infinities and numbers that overflow to them: the standard library accepts them, but a JavaScript
client drops its connection when it gets one. Integers beyond 64 bits become floats, as in JavaScript.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

try:
    import orjson
except ImportError:  # the extra `fast` is not installed
    orjson = None  # type: ignore[assignment]


def _integer(digits: str) -> int | float:
    if len(digits) <= 20:  # noqa: PLR2004 - 2 ** 64 has twenty digits
        value = int(digits)
        if -(1 << 63) <= value < 1 << 64:
            return value
    return _float(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("number is infinite")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _loads(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def loads(text: str) -> Any:
    r"""Read one JSON value.

    A string in it may hold a lone surrogate (``"\ud800"``), which is JSON but not text: `wire.values` finds it.

    Raises:
        ValueError: The text is not JSON, or it is nested deeper than the parser reads (some 1,000 levels).
    """
    if orjson is None:
        return _loads(text)
    try:
        return orjson.loads(text)
    except ValueError:
        if "\\u" not in text:
            raise
        return _loads(text)  # orjson reports a lone surrogate as a syntax error


def text_of(data: str, key: str) -> str | None:
    """Return the text of a value as it was sent, or ``None`` if its key is absent.

    Args:
        data: The text of an event's data, ``["name",{…},…]``. It has been parsed already, and its first argument
            is an object.
        key: The key in that object. If the key occurs twice, the last value counts, as for every parser.

    Raises:
        ValueError: A value whose key occurs again, so that it does not count, is nested too deep to be skipped.
    """
    text, index = None, _past_value(data, 1)
    index = _past_space(data, _past_space(data, index) + 1)  # skips the comma, so it is at the brace
    index = _past_space(data, index + 1)
    while data[index] != "}":
        name, index = _decoder.raw_decode(data, index)
        start = _past_space(data, _past_space(data, index) + 1)  # skips the colon
        index = _past_value(data, start)
        if name == key:
            text = data[start:index]
        index = _past_space(data, index)
        if data[index] == ",":
            index = _past_space(data, index + 1)
    return text


def _past_value(text: str, index: int) -> int:
    try:
        return _decoder.raw_decode(text, _past_space(text, index))[1]
    except RecursionError:  # orjson has parsed it, because it reads deeper nesting
        raise ValueError("nested too deep") from None


def _past_space(text: str, index: int) -> int:
    while text[index] in " \t\n\r":
        index += 1
    return index


def strict_reader() -> Callable[[str], object]:
    """Return what raises `ValueError` unless a text is certainly one JSON value without a lone surrogate.

    It is the parser's own function if that will do, because each signal comes by.
    """
    return _certain if orjson is None else orjson.loads  # which reports a lone surrogate as a syntax error


def _certain(text: str) -> object:
    if "\\u" in text:
        raise ValueError("perhaps a lone surrogate")
    return _loads(text)


def dumps(value: Any) -> str:
    """Write one JSON value without spaces. Its floats must be finite; `wire.values` finds those that are not.

    Raises:
        ValueError: The value has no JSON form: it holds bytes, a lone surrogate or another object, or it is
            nested too deep.
    """
    if orjson is not None:
        try:
            return orjson.dumps(value, option=_OPTIONS).decode()
        except TypeError:
            pass  # only the standard library writes integer keys and large integers
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text


_OPTIONS = 0 if orjson is None else orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
