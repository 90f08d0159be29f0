from __future__ import annotations

import json

import pytest

from walkie_signal.webhook.backlog import Backlog, Waiting, body_of


def waiting(number: int, text: bytes = b"{}") -> Waiting:
    return Waiting(f"a-{number}", text)


def ids(events: list[Waiting]) -> list[str]:
    return [event.event_id for event in events]


@pytest.mark.parametrize(("most_events", "most_bytes"), [(3, 1000), (1000, 6)])
def test_the_oldest_go_when_there_are_too_many_or_too_large_ones(most_events: int, most_bytes: int) -> None:
    backlog = Backlog(most_events, most_bytes)
    assert [backlog.add(waiting(number)) for number in range(5)] == [0, 0, 0, 1, 1]
    assert len(backlog) == 3
    assert ids(backlog.take(10, 1000)) == ["a-2", "a-3", "a-4"]
    assert [backlog.add(waiting(number)) for number in range(3)] == [0, 0, 0], "what was taken still counted"


def test_a_request_takes_the_oldest_up_to_its_bounds() -> None:
    backlog = Backlog(100, 1000)
    for number in range(5):
        backlog.add(waiting(number, b"x" * 10))
    assert ids(backlog.take(2, 1000)) == ["a-0", "a-1"]
    assert ids(backlog.take(10, 29)) == ["a-2", "a-3"]
    assert ids(backlog.take(10, 5)) == ["a-4"], "one that is larger than a request may be would stay for ever"
    assert backlog.take(10, 1000) == []


def test_the_body_is_one_object_with_all_events_in_order() -> None:
    assert json.loads(body_of([waiting(1, b'{"id":1}'), waiting(2, b'{"id":2}')])) == {
        "events": [{"id": 1}, {"id": 2}]
    }
