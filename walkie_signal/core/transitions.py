"""How a state machine goes by its table: a row for each state, a cell for each step that is possible in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar


class Symbol(Enum):
    """A state or a step. It is hashed by its identity, because `Enum` hashes its name, and that in Python."""

    __hash__ = object.__hash__


State = TypeVar("State", bound=Symbol)
Step = TypeVar("Step", bound=Symbol)


def state_after(table: Mapping[State, Mapping[Step, State]], state: State, step: Step) -> State:
    """Return the state that a step leads to.

    Raises:
        RuntimeError: The table has no such step in that state, which is a fault of ours.
    """
    following = table[state].get(step)
    if following is None:
        raise RuntimeError(f"what is {state.name} can't {step.name}")
    return following
