"""The options of a command, made from the fields of settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import Field, fields
from typing import Any, TypeVar

import click

from walkie_signal.settings.declaration import Group, out_of_bounds

Command = TypeVar("Command", bound=Callable[..., Any])

ENVIRONMENT_PREFIX = "WALKIE_SIGNAL_"


class Several(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A string that may be given several times; in the environment, spaces or commas separate the values."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Split the environment's value."""
        return [part for part in re.split(r"[\s,]+", rv) if part]


def option_name(each: Field[Any]) -> str:
    """Return the name of a field's option, such as ``--log-level``."""
    return "--" + each.name.replace("_", "-")


def variable_name(each: Field[Any]) -> str:
    """Return the name of a field's variable in the environment, such as ``WALKIE_SIGNAL_LOG_LEVEL``."""
    return ENVIRONMENT_PREFIX + each.name.upper()


def options_of(*groups: type[Group], only: Collection[str] | None = None) -> Callable[[Command], Command]:
    """Give a command an option for each field of some groups, the first group's first.

    Args:
        groups: The groups.
        only: The fields that become options; ``None`` for all of them.
    """

    def decorate(command: Command) -> Command:
        for each in reversed([each for group in groups for each in fields(group)]):
            if only is None or each.name in only:
                command = _option(each)(command)
        return command

    return decorate


def group_of(group: type[Group], values: dict[str, Any]) -> Any:
    """Make a group from the values that the command got; what it has no option for keeps its default."""
    return group(**{each.name: values[each.name] for each in fields(group) if each.name in values})


def _option(each: Field[Any]) -> Callable[[Command], Command]:
    default: Any = each.default
    several = isinstance(default, tuple)
    return click.option(
        _switch(each) if isinstance(default, bool) else option_name(each),
        each.name,
        type=_type(each, several=several),
        multiple=several,
        default=default,
        envvar=variable_name(each),
        show_envvar=True,
        show_default=not each.metadata["secret"]
        and (", ".join(default) or "none" if several else default != ""),
        help=" ".join(_help(each, several=several)),
        callback=_checked(each),
    )


def _switch(each: Field[Any]) -> str:
    """Return the names that turn a boolean field on and off, such as ``--demo/--no-demo``."""
    return f"{option_name(each)}/--no-{option_name(each).removeprefix('--')}"


def _type(each: Field[Any], *, several: bool) -> Any:
    if several:
        return Several()
    choices = each.metadata.get("choices")
    return click.Choice(choices) if choices else type(each.default)


def _help(each: Field[Any], *, several: bool) -> Iterator[str]:
    yield each.metadata["text"]
    if "unit" in each.metadata:
        yield f"In {each.metadata['unit']}."
    if several:
        yield "May be given several times."


def _checked(each: Field[Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def check(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        fault = out_of_bounds(each, value)
        if fault is not None:
            raise click.BadParameter(fault)
        return value

    return check
