"""The states of a connection."""

from __future__ import annotations

import pytest

from walkie_signal import create_server
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.states import TRANSITIONS, State, Step

ENDED = {State.CLOSED, State.GONE}


def test_each_state_is_reached_and_an_end_is_final() -> None:
    reached = {State.OPENING} | {state for steps in TRANSITIONS.values() for state in steps.values()}
    assert reached == set(State) == set(TRANSITIONS)
    assert {after for state in ENDED for after in TRANSITIONS[state].values()} == ENDED
    assert all(TRANSITIONS[state][Step.CLOSE] is State.CLOSED for state in set(State) - ENDED)


async def test_an_impossible_step_is_refused_and_changes_nothing() -> None:
    connection = Connection(create_server().eio, "sid", "address")
    with pytest.raises(RuntimeError, match="a connection that is OPENING can't GIVE_UP"):
        connection.end_probe()
    assert (connection.state, connection.is_open) == (State.OPENING, True)


async def test_a_connection_that_is_refused_takes_no_more_and_tells_nobody() -> None:
    engine = create_server().eio
    connection = Connection(engine, "sid", "address")
    connection.refuse("server disconnect")
    connection.close("transport close")
    connection.send("4")
    assert (connection.state, connection.reason) == (State.CLOSED, "server disconnect")
    assert (len(connection.outbox), connection.ending) == (0, None)
