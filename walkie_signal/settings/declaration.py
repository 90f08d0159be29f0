"""How a setting is declared, and how its value is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from math import isfinite
from typing import Any


def setting(default: Any, text: str, *, reason: str, secret: bool = False, **facts: Any) -> Any:
    """Declare a field with its text, its bounds and the reason of its default.

    Args:
        default: Used if no value is given.
        text: One sentence for ``--help`` and the settings page.
        reason: Why this is the default: what others take, or what was measured.
        secret: Whether the value may hold a password; it is never shown, even if it is refused.
        facts: ``unit`` (shown), ``above``, ``least`` or ``most`` (a bound), ``choices`` (the allowed values),
            ``form`` (a function that tells whether a string, or each of several, is allowed) with ``write`` (the
            advice in the error if it is not).
    """
    metadata = {"text": text, "reason": reason, "secret": secret, **facts}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Settings that belong together, checked when they are made."""

    def __post_init__(self) -> None:
        for each in fields(self):
            fault = out_of_bounds(each, getattr(self, each.name))
            if fault is not None:
                raise ValueError(f"{each.name}: {fault}")


def out_of_bounds(each: Field[Any], value: Any) -> str | None:
    """Return what is wrong with a value for a field, or ``None`` if nothing is."""
    fault = next(_faults(each, value), None)
    if fault is not None and each.metadata["secret"]:
        return f"the value is not valid, and not shown, because it may hold a password{_advice(each)}"
    return fault


_KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
"""What values of these types are called."""


def _is_of(expected: type, value: Any) -> bool:
    """Tell whether a value is of a type: a whole number is a number too, but true is none of them."""
    if expected is bool or isinstance(value, bool):
        return expected is type(value)
    return isinstance(value, (int, expected))


def _faults(each: Field[Any], value: Any) -> Iterator[str]:
    facts = each.metadata
    kind = _KINDS.get(type(each.default))
    if kind is not None and not _is_of(type(each.default), value):
        yield f"{value!r} is not {kind}"
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
                yield f"{one!r} will not do{_advice(each)}"


def _advice(each: Field[Any]) -> str:
    return f": write {each.metadata['write']}" if "write" in each.metadata else ""
