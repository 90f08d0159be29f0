"""A fact is told once to each sink that listens for its kind, and is not made if none does."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from walkie_signal.core.changes import Member
from walkie_signal.core.facts import Facts, MemberJoined, MemberLeft

ANN = Member("a", "gate", None, None, "n1")


def test_each_sink_of_a_kind_hears_a_fact_once_in_the_order_in_which_they_came() -> None:
    facts, heard = Facts(), list[tuple[str, object]]()
    facts.listen(MemberJoined, lambda fact: heard.append(("first", fact)))
    facts.listen(MemberJoined, lambda fact: heard.append(("second", fact)))
    facts.listen(MemberLeft, lambda fact: heard.append(("left", fact)))
    facts.tell(MemberJoined, ANN)
    assert heard == [("first", MemberJoined(ANN)), ("second", MemberJoined(ANN))]
    facts.tell(MemberLeft, ANN, reason="kicked")
    assert heard[2:] == [("left", MemberLeft(ANN, "kicked"))]


def test_a_fact_that_nobody_listens_for_is_not_made() -> None:
    def made(member: Member) -> None:
        raise AssertionError(member)

    facts = Facts()
    facts.listen(MemberLeft, lambda _fact: None)
    facts.tell(made, ANN)


def test_a_sink_can_t_change_what_the_next_one_hears() -> None:
    with pytest.raises(FrozenInstanceError):
        MemberJoined(ANN).member = ANN  # type: ignore[misc]
