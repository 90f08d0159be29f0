"""The states of a node's way to a store, as tables that the code runs by."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from walkie_signal.core.transitions import Symbol


class State(Symbol):
    """The state of an uplink."""

    AWAY = enum.auto()
    """There are no connections; the next try comes after a random while."""
    CONNECTING = enum.auto()
    RESTORING = enum.auto()
    """Both connections are there, and everything is made right on them."""
    UP = enum.auto()
    """Requests are taken."""


class Step(Symbol):
    """What changes the state of an uplink."""

    CONNECT = enum.auto()
    RESTORE = enum.auto()
    RISE = enum.auto()
    """Everything is right again."""
    GIVE_UP = enum.auto()
    """Either connection has ended or does not answer, or a try has failed; the other one is ended too."""


TRANSITIONS: Mapping[State, Mapping[Step, State]] = {
    State.AWAY: {Step.CONNECT: State.CONNECTING, Step.GIVE_UP: State.AWAY},
    State.CONNECTING: {Step.RESTORE: State.RESTORING, Step.GIVE_UP: State.AWAY},
    State.RESTORING: {Step.RISE: State.UP, Step.GIVE_UP: State.AWAY},
    State.UP: {Step.GIVE_UP: State.AWAY},
}
"""The state after each step. A step that is not here is a fault of ours."""
