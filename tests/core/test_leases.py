from __future__ import annotations

from walkie_signal.core.leases import Watch

LEASE = 8.0
THEN = 1_000_000.0
"""The store's time when the watcher's clock is 0."""


def watched(watch: Watch, now: float, *silent: tuple[str, float], skew: float = 0.0) -> list[str]:
    """Beat at `now`, the answer coming 10 ms later; `silent` by when they renewed on the watcher's clock."""
    renewals = {node: THEN + renewed for node, renewed in silent}
    return watch.beat(now, now + 0.01, THEN + now + skew, renewals)


def test_a_node_is_dead_after_a_lease_of_silence_and_not_before() -> None:
    watch = Watch(LEASE)
    for now in range(4):
        assert watched(watch, now) == []
    for now in range(4, 8):
        assert watched(watch, now, ("n", 0.5)) == []
    assert watched(watch, 8.4, ("n", 0.5)) == []
    assert watched(watch, 8.6, ("n", 0.5)) == ["n"]


def test_one_that_renews_lives() -> None:
    watch = Watch(LEASE)
    for now in range(30):
        assert watched(watch, now, ("n", now - 4.0)) == []


def test_silence_before_the_watcher_beat_counts_for_nothing() -> None:
    watch = Watch(LEASE)
    assert watched(watch, 100, ("n", 0)) == []
    for now in range(101, 108):
        assert watched(watch, now, ("n", 0)) == []
    assert watched(watch, 108.1, ("n", 0)) == ["n"]


def test_a_store_that_stood_still_kills_nobody() -> None:
    watch = Watch(LEASE)
    for now in range(4):
        watched(watch, now)
    assert watched(watch, 20, ("n", 3), ("m", 2)) == []
    for now in range(21, 27):
        assert watched(watch, now, ("n", 3)) == []
    assert watched(watch, 28.1, ("n", 3)) == ["n"]


def test_an_answer_that_was_long_under_way_breaks_the_count() -> None:
    watch = Watch(LEASE)
    for now in range(4):
        watched(watch, now)
    assert watch.beat(4, 9, THEN + 9, {"n": THEN}) == []
    assert watched(watch, 10, ("n", 0)) == []


def test_a_jump_of_the_stores_clock_kills_nobody() -> None:
    for jump in (600.0, -600.0):
        watch = Watch(LEASE)
        for now in range(10):
            watched(watch, now)
        for now in range(10, 17):
            assert watched(watch, now, ("n", 9), skew=jump) == []


def test_each_silent_node_is_judged_by_itself() -> None:
    watch = Watch(LEASE)
    for now in range(4):
        watched(watch, now)
    for now in range(4, 9):
        watched(watch, now, ("n", 0), ("m", 3))
    assert watched(watch, 9, ("n", 0), ("m", 3)) == ["n"]
    assert watched(watch, 10) == []
    assert watched(watch, 11.5, ("m", 3)) == ["m"]
