"""Takes secrets out of the command line, where every user of the machine sees them (``ps``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import Field
from typing import Any

from walkie_signal.cli.options import option_name, variable_name


def hide_secrets(secret: Iterable[Field[Any]]) -> None:
    """Run this process anew with its secret options in the environment, which only our user sees, if it has any."""
    arguments, variables = moved(sys.orig_argv[1:], secret)
    if variables and len(sys.argv) > 1 and sys.argv[1:] == sys.orig_argv[-len(sys.argv) + 1 :]:
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, **variables})  # noqa: S606


def moved(arguments: Sequence[str], secret: Iterable[Field[Any]]) -> tuple[list[str], dict[str, str]]:
    """Return arguments without secret options, and the variables that say the same."""
    names = {option_name(each): variable_name(each) for each in secret}
    left: list[str] = []
    variables: dict[str, str] = {}
    given = iter(arguments)
    for argument in given:
        option, equals, value = argument.partition("=")
        if option not in names or not (equals or (value := next(given, ""))):
            left.append(argument)
        else:
            variables[names[option]] = value
    return left, variables
