from __future__ import annotations

import pytest

from walkie_signal.core.early import MOST, MOST_BYTES, WAIT, EarlySignal, EarlySignals


def signal(number: int, text: str = "x") -> EarlySignal:
    return EarlySignal("b", text, number)


def test_they_wait_in_order_and_expire_one_by_one() -> None:
    early = EarlySignals()
    assert early.wait(100.0) is None
    assert early.add(signal(1), 100.0)
    assert early.add(signal(2), 101.0)
    assert early.wait(101.0) == WAIT - 1
    assert early.expire(100.0 + WAIT) == [signal(1)]
    assert early.wait(100.0 + WAIT) == 1
    assert early.add(signal(3), 100.0 + WAIT)
    assert early.take_all() == [signal(2), signal(3)]
    assert len(early) == 0


def test_the_clock_stands_still_while_a_join_is_under_way() -> None:
    early = EarlySignals()
    early.add(signal(1), 100.0)
    for began in (101.0, 161.5):
        early.stop(began)
        assert early.wait(began + 50) is None
        assert early.expire(began + 50) == []
        early.go_on(began + 60)
    assert early.wait(221.5) == WAIT - 1.5
    assert early.expire(221.5 + WAIT - 1.5) == [signal(1)]


def test_their_number_and_their_size_are_bounded_and_what_has_gone_counts_no_more() -> None:
    early = EarlySignals()
    assert [early.add(signal(number), 0.0) for number in range(MOST + 1)] == [True] * MOST + [False]
    early.take_all()
    assert early.add(signal(1, "x" * MOST_BYTES), 0.0)
    assert not early.add(signal(2), 0.0)
    early.expire(WAIT)
    assert early.add(signal(3), WAIT)


@pytest.mark.promise(
    "The wire", "Signals before the first join wait for it, within bounds, and each is answered once"
)
def test_the_bound_is_of_bytes_and_not_of_characters() -> None:
    early = EarlySignals()
    assert early.add(signal(1, "🙂" * (MOST_BYTES // 4)), 0.0)
    assert not early.add(signal(2), 0.0)
    early.take_all()
    assert early.add(signal(3, "x" * MOST_BYTES), 0.0)
