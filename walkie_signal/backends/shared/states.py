"""The states of the copy of a room, as tables that the code runs by.

They say whether the copy has to be read. Whether it lacks changes is another question, which its `Replica` answers:
it may lack some while a join that is under way is about to bring them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from walkie_signal.core.transitions import Symbol


class State(Symbol):
    """The state of a copy."""

    RESTING = enum.auto()
    """It goes by the changes that are heard; or the store is away, and whoever restores will read it."""
    DUE = enum.auto()
    """It is to be read as soon as it may be."""
    READING = enum.auto()
    """It is being read, and nothing has cast doubt on it since."""
    ASIDE = enum.auto()
    """The room's key is strange, so it can't be read; it is tried again now and then."""


class Step(Symbol):
    """What changes the state of a copy."""

    DOUBT = enum.auto()
    """A change may be missing."""
    READ = enum.auto()
    ANSWER = enum.auto()
    """The reading is over."""
    FAIL = enum.auto()
    """The store is away, or was."""
    ADOPT = enum.auto()
    """The room has been read by whomever, so its key is not strange."""
    SET_ASIDE = enum.auto()
    """Somebody has found that its key is strange; who is reading it finds out for itself."""


TRANSITIONS: Mapping[State, Mapping[Step, State]] = {
    State.RESTING: {
        Step.DOUBT: State.DUE,
        Step.ADOPT: State.RESTING,
        Step.SET_ASIDE: State.ASIDE,
    },
    State.DUE: {
        Step.DOUBT: State.DUE,
        Step.READ: State.READING,
        Step.ANSWER: State.DUE,
        Step.FAIL: State.RESTING,
        Step.ADOPT: State.DUE,
        Step.SET_ASIDE: State.DUE,
    },
    State.READING: {
        Step.DOUBT: State.DUE,
        Step.ANSWER: State.RESTING,
        Step.FAIL: State.RESTING,
        Step.ADOPT: State.READING,
        Step.SET_ASIDE: State.READING,
    },
    State.ASIDE: {
        Step.DOUBT: State.DUE,
        Step.ADOPT: State.RESTING,
        Step.SET_ASIDE: State.ASIDE,
    },
}
"""The state after each step. A step that is not here is a fault of ours."""
