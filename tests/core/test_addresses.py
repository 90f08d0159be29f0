"""An address has one form, however a socket has seen it."""

from __future__ import annotations

import pytest

from walkie_signal.core.addresses import plain_address


@pytest.mark.parametrize(
    ("seen", "plain"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("::ffff:7f00:1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:nonsense", "::ffff:nonsense"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_of_ipv4_is_itself(seen: str, plain: str) -> None:
    assert plain_address(seen) == plain
