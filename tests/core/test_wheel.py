"""The wheel: nothing is due before its time, nor much later, nor twice; what is dropped is not due at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from walkie_signal.core.wheel import Wheel

TICK = 0.5


def taken(wheel: Wheel[str], now: float) -> list[object]:
    return [key for key, _ in wheel.due(now)]


def wheel_of(**times: float) -> Wheel[str]:
    wheel: Wheel[str] = Wheel(TICK)
    for key, when in times.items():
        wheel.put(key, when, f"do {key}")
    return wheel


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_what_is_due_is_late_by_a_tick_at_most_and_never_early(times: list[float], now: float) -> None:
    wheel: Wheel[float] = Wheel(TICK)
    for key, when in enumerate(times):
        wheel.put(key, when, when)
    due = dict(wheel.due(now))
    assert all(when <= now for when in due.values())
    assert all(when > now - TICK for key, when in enumerate(times) if key not in due)
    assert len(wheel) == len(times) - len(due)


def test_what_is_due_comes_once_the_earliest_first() -> None:
    wheel = wheel_of(late=3, soon=1, never=50)
    assert list(wheel.due(10)) == [("soon", "do soon"), ("late", "do late")]
    assert taken(wheel, 10) == []


def test_of_a_key_only_the_last_time_holds() -> None:
    wheel = wheel_of(a=1)
    wheel.put("a", 5, "do it later")
    assert taken(wheel, 2) == []
    assert list(wheel.due(6)) == [("a", "do it later")]
    wheel.put("a", 9, "do it late")
    wheel.put("a", 7, "do it after all")
    assert list(wheel.due(8)) == [("a", "do it after all")]
    assert taken(wheel, 20) == []


def test_what_is_dropped_is_not_due_and_leaves_nothing() -> None:
    wheel = wheel_of(a=1, b=1)
    wheel.drop("a")
    wheel.drop("a")
    assert taken(wheel, 2) == ["b"]
    wheel.put("c", 5, "")
    wheel.drop("c")
    assert len(wheel) == 0
    assert wheel.next_at is None


def test_what_is_dropped_or_put_off_while_others_are_due_is_heeded() -> None:
    """Else a peer that has left its room would still be announced, by what was due in the same tick."""
    wheel = wheel_of(a=1, dropped=1, later=1)
    for key, _ in wheel.due(2):
        assert key == "a"
        wheel.drop("dropped")
        wheel.put("later", 8, "")
    assert taken(wheel, 9) == ["later"]


def test_what_is_put_in_the_past_while_others_are_due_waits_for_the_next_time() -> None:
    """Else one that is always due again would never let the others have their turn."""
    wheel = wheel_of(a=1)
    for key, act in wheel.due(2):
        wheel.put(key, 1, act)
    assert taken(wheel, 2) == ["a"]


def test_the_next_time_to_ask_is_that_of_the_earliest_slot() -> None:
    wheel = wheel_of(a=7.2)
    assert wheel.put("b", 3.1, "") == 3.5
    assert wheel.next_at == 3.5
    assert taken(wheel, 3.5) == ["b"]
    assert wheel.next_at == 7.5
    wheel.clear()
    assert len(wheel) == 0
    assert wheel.next_at is None
    assert taken(wheel, 100) == []
