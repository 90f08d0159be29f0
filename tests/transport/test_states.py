"""The states of a connection."""

from __future__ import annotations

import asyncio

import pytest

from walkie_signal import create_server
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.polling import Polling
from walkie_signal.transport.engineio.states import TRANSITIONS, State, Step

ENDED = {State.CLOSED, State.GONE}


def test_each_state_is_reached_and_an_end_is_final() -> None:
    reached = {State.OPENING} | {state for steps in TRANSITIONS.values() for state in steps.values()}
    assert reached == set(State) == set(TRANSITIONS)
    assert {after for state in ENDED for after in TRANSITIONS[state].values()} == ENDED
    assert all(TRANSITIONS[State.GONE].get(step) is not State.CLOSED for step in Step)
    assert all(TRANSITIONS[state][Step.CLOSE] is State.CLOSED for state in set(State) - ENDED)


async def test_an_impossible_step_is_refused_and_changes_nothing() -> None:
    connection = Connection(create_server().eio, "sid", "address")
    with pytest.raises(RuntimeError, match="what is OPENING can't GIVE_UP"):
        connection.end_probe()
    assert (connection.state, connection.is_open) == (State.OPENING, True)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_close_may_overtake_a_probe_or_the_host_s_answer(forgotten: bool) -> None:  # noqa: FBT001
    engine = create_server().eio
    probing, opening = (Connection(engine, sid, "address") for sid in ("probing", "opening"))
    probing.carry(Polling(probing))
    probe = asyncio.create_task(asyncio.sleep(10, result=True))
    probing.begin_probe(probe)
    for connection in (probing, opening):
        connection.close("transport close")
        if forgotten:
            assert connection.ending is not None
            await asyncio.wait_for(connection.ending, 5)
    probing.end_probe()
    opening.carry(Polling(opening))
    after = State.GONE if forgotten else State.CLOSED
    assert (probing.state, opening.state) == (after, after)
    assert not probing.is_open
    assert not opening.is_open
    with pytest.raises(asyncio.CancelledError):
        await probe


async def test_a_connection_that_is_refused_takes_no_more_and_tells_nobody() -> None:
    engine = create_server().eio
    connection = Connection(engine, "sid", "address")
    connection.refuse("server disconnect")
    connection.close("transport close")
    connection.send("4")
    assert (connection.state, connection.reason) == (State.CLOSED, "server disconnect")
    assert (len(connection.outbox), connection.ending) == (0, None)
