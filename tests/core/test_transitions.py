from __future__ import annotations

import enum

import pytest

from walkie_signal.core.transitions import Symbol, state_after


class Door(Symbol):
    OPEN = enum.auto()
    SHUT = enum.auto()


class Move(Symbol):
    PUSH = enum.auto()
    PULL = enum.auto()


TABLE = {Door.OPEN: {Move.PULL: Door.SHUT}, Door.SHUT: {Move.PUSH: Door.OPEN}}


def test_a_step_leads_where_the_table_says() -> None:
    assert state_after(TABLE, Door.OPEN, Move.PULL) is Door.SHUT
    assert state_after(TABLE, Door.SHUT, Move.PUSH) is Door.OPEN


def test_a_step_that_the_table_lacks_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match="what is OPEN can't PUSH"):
        state_after(TABLE, Door.OPEN, Move.PUSH)
