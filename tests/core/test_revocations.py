"""The table of revoked users."""

from __future__ import annotations

import pytest

from walkie_signal.core.identity import Identity
from walkie_signal.core.revocations import (
    MOST_ON_A_SHELF,
    digest_of,
    lacks,
    merged,
    read_times,
    refuses,
    shelf_of,
    write_times,
)
from walkie_signal.core.values import MOST_BYTES, check_value

NOW = 1_800_000_000_000
ONE, TWO, THREE = (digest_of(user) for user in ("one", "two", "three"))


def test_of_two_times_the_later_one_counts_whichever_table_has_it() -> None:
    one, other = {ONE: 5, TWO: 9}, {ONE: 7, TWO: 8, THREE: 1}
    assert merged(one, other, 0).times == merged(other, one, 0).times == {ONE: 7, TWO: 9, THREE: 1}


def test_what_has_had_its_time_is_left_out() -> None:
    assert merged({ONE: 5}, {TWO: 6}, 6).times == {TWO: 6}


def test_a_full_shelf_can_be_stored_and_drops_the_earliest() -> None:
    full = {digest_of(number): NOW + number for number in range(MOST_ON_A_SHELF + 3)}
    after = merged(full, {}, 0)
    assert after.dropped == 3
    assert digest_of(2) not in after.times
    assert digest_of(3) in after.times
    check_value(shelf_of(ONE), write_times(after.times))
    assert len(write_times(after.times)) > MOST_BYTES * 0.9


def test_a_full_shelf_lacks_nothing_that_it_would_drop() -> None:
    """Otherwise a node would enter it again and again."""
    full = {digest_of(number): NOW + number for number in range(MOST_ON_A_SHELF)}
    assert not lacks(full, {ONE: 5}, 0)
    assert lacks(full, {ONE: NOW + MOST_ON_A_SHELF}, 0)


def test_a_table_lacks_what_is_later_elsewhere_and_still_kept() -> None:
    assert lacks({}, {ONE: 5}, 0)
    assert lacks({ONE: 4}, {ONE: 5}, 0)
    assert not lacks({ONE: 5}, {ONE: 5}, 0)
    assert not lacks({ONE: 6}, {ONE: 5}, 0)
    assert not lacks({}, {ONE: 5}, 6)


def test_it_is_read_as_it_was_written() -> None:
    assert read_times(write_times({ONE: NOW, TWO: 0})) == {ONE: NOW, TWO: 0}
    assert read_times("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "7",
        '{"one":5}',
        f'{{"{ONE}":"5"}}',
        f'{{"{ONE}":true}}',
        f'{{"{ONE}":-1}}',
        f'{{"{ONE}":1e400}}',
        f'{{"{ONE}":{10**13}}}',
        f'{{"{"ä" * 16}":5}}',
    ],
)
def test_a_table_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_times(text)


def test_a_token_of_before_is_refused_and_so_is_one_that_does_not_say() -> None:
    def issued(at: float | None) -> Identity:
        return Identity("one", issued_at=at)

    assert refuses(5000, issued(4.9))
    assert refuses(5000, issued(5))
    assert refuses(5000, issued(None))
    assert not refuses(5000, issued(5.001))


def test_the_digest_of_a_user_has_one_length_and_a_shelf_among_64() -> None:
    digests = [digest_of(user) for user in (7, "7", "", "x" * 100_000, *range(10_000))]
    assert digests[0] == digests[1]
    assert {len(each) for each in digests} == {16}
    assert len({shelf_of(each) for each in digests}) == 64
