"""The states of a connection, as tables that the code runs by."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from walkie_signal.core.transitions import Symbol


class State(Symbol):
    """The state of a connection."""

    OPENING = enum.auto()
    """The host is asked whether it may connect; nothing carries it yet."""
    POLLING = enum.auto()
    PROBING = enum.auto()
    """It polls, while a WebSocket tries to take over."""
    WEBSOCKET = enum.auto()
    CLOSED = enum.auto()
    """Nothing is taken any more; what waited is still sent, and the host is still told of the end."""
    GONE = enum.auto()


class Step(Symbol):
    """What changes the state of a connection."""

    POLL = enum.auto()
    PROBE = enum.auto()
    GIVE_UP = enum.auto()
    """The WebSocket that probed does not take over."""
    TAKE_OVER = enum.auto()
    """A WebSocket carries it from now on."""
    CLOSE = enum.auto()
    FORGET = enum.auto()


TRANSITIONS: Mapping[State, Mapping[Step, State]] = {
    State.OPENING: {
        Step.POLL: State.POLLING,
        Step.TAKE_OVER: State.WEBSOCKET,
        Step.CLOSE: State.CLOSED,
    },
    State.POLLING: {Step.PROBE: State.PROBING, Step.CLOSE: State.CLOSED},
    State.PROBING: {
        Step.GIVE_UP: State.POLLING,
        Step.TAKE_OVER: State.WEBSOCKET,
        Step.CLOSE: State.CLOSED,
    },
    State.WEBSOCKET: {Step.CLOSE: State.CLOSED},
    # A connection may close, and be forgotten, while the host is asked about it, or while a WebSocket probes
    State.CLOSED: {
        Step.POLL: State.CLOSED,
        Step.TAKE_OVER: State.CLOSED,
        Step.GIVE_UP: State.CLOSED,
        Step.FORGET: State.GONE,
    },
    State.GONE: {Step.POLL: State.GONE, Step.TAKE_OVER: State.GONE, Step.GIVE_UP: State.GONE},
}
