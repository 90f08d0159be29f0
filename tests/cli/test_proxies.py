"""What ``--trusted-proxy`` makes ``walkie-signal serve`` believe, and of whom."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from support.processes import SCRIPTS, running
from support.servers import serve
from support.stock import TRANSPORTS, peers

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}

COMMAND: list[str | Path] = [SCRIPTS / "walkie-signal", "serve", "--log-level", "debug"]

ADDRESS = r"connects, from (.+)$"


@pytest.mark.promise(
    "The command",
    "A proxy is trusted however its address is written; an IPv4 address keeps its usual form on `::`",
)
@pytest.mark.parametrize(
    ("options", "address"),
    [
        ([], "127.0.0.1"),
        (["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1"], "203.0.113.9"),
        (["--trusted-proxy", "10.0.0.0/8"], "127.0.0.1"),
        (["--trusted-proxy", "127.0.0.1/8"], "203.0.113.9"),
        (["--trusted-proxy", "10.0.0.1", "--trusted-proxy", "*"], "203.0.113.9"),
        (["--trusted-proxy", "unix:"], "127.0.0.1"),
        (["--trusted-proxy", "::ffff:127.0.0.1"], "203.0.113.9"),
    ],
)
async def test_a_forwarded_address_is_believed_of_a_trusted_proxy_alone(
    options: list[str], address: str
) -> None:
    async with (
        serve("--log-level", "debug", *options) as server,
        peers(server.url, "gate", headers=FORWARDED),
    ):
        found = await server.program.line(ADDRESS, within=5)
        assert found[1] == address


@pytest.mark.promise(
    "The command",
    "A proxy is trusted however its address is written; an IPv4 address keeps its usual form on `::`",
)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("options", "address"),
    [
        ([], "127.0.0.1"),
        (["--trusted-proxy", "127.0.0.1"], "203.0.113.9"),
        (["--trusted-proxy", "127.0.0.0/8"], "203.0.113.9"),
        (["--trusted-proxy", "10.0.0.0/8"], "127.0.0.1"),
    ],
)
async def test_an_address_of_ipv4_is_itself_to_a_server_on_every_address(
    options: list[str], address: str, transport: str
) -> None:
    async with running([*COMMAND, "--host", "::", "--port", "0", *options]) as program:
        port = (await program.line(r"listening on http://\[::\]:(\d+)"))[1]
        async with peers(f"http://127.0.0.1:{port}", "gate", headers=FORWARDED, transport=transport):
            assert (await program.line(ADDRESS, within=5))[1] == address


@pytest.mark.promise(
    "The command",
    "Another user's proxy can connect to a Unix socket; it can be trusted by name; only the server that "
    "made it removes its file",
)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("options", "headers", "address"),
    [
        ([], FORWARDED, "a Unix socket"),
        (["--trusted-proxy", "unix:"], FORWARDED, "203.0.113.9"),
        (["--trusted-proxy", "*"], FORWARDED, "203.0.113.9"),
        (["--trusted-proxy", "127.0.0.1"], FORWARDED, "a Unix socket"),
        (["--trusted-proxy", "unix:"], {}, "a Unix socket"),
    ],
)
async def test_a_forwarded_address_is_believed_of_a_trusted_unix_socket(
    options: list[str], headers: dict[str, str], address: str, transport: str, tmp_path: Path
) -> None:
    path = tmp_path / "signal.sock"

    def through() -> aiohttp.BaseConnector:
        return aiohttp.UnixConnector(path=str(path))

    async with running([*COMMAND, "--uds", path, *options]) as program:
        await program.line("listening on")
        async with peers("http://signal", "gate", headers=headers, transport=transport, connector=through):
            assert (await program.line(ADDRESS, within=5))[1] == address
