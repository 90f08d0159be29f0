"""What ``--trusted-proxy`` makes ``walkie-signal serve`` believe, and of whom."""

from __future__ import annotations

import pytest

from hosts.peers import peers
from support.servers import serve

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ([], "127.0.0.1"),
        (["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1"], "203.0.113.9"),
    ],
)
async def test_a_forwarded_address_is_believed_of_a_trusted_proxy_alone(
    options: list[str], address: str
) -> None:
    async with (
        serve("--log-level", "debug", *options) as server,
        peers(server.url, "gate", headers=FORWARDED),
    ):
        found = await server.program.line(r"from ([\d.]+)", within=5)
        assert found[1] == address
