"""Where ``walkie-signal serve`` listens, what it says of it, and what it says where it can't."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from support.certificates import certificate
from support.processes import SCRIPTS, running
from support.redis import redis_server
from support.servers import free_port, serve
from support.stock import TRANSPORTS, meet, web
from walkie_signal import __version__

COMMAND: list[str | Path] = [SCRIPTS / "walkie-signal", "serve"]
LISTENING = r"listening on (\S+)"


@pytest.mark.promise("The command", "It says where it listens, and warns if other machines can reach it")
async def test_it_says_where_it_listens_and_by_what() -> None:
    async with serve() as server:
        line = (await server.program.line(LISTENING)).string
        assert re.search(
            rf"walkie-signal {re.escape(__version__)} listening on {server.url}/socket.io/", line
        )
        assert "uvicorn" in line
        assert "memory" in line
        assert "WARNING" not in server.program.output
        async with web(server.url) as http:
            for elsewhere in ("/", "/socket.iox/", "/health", "/socket.io/more"):
                assert (await http.get(elsewhere)).status_code == 404


@pytest.mark.promise("The command", "It says where it listens, and warns if other machines can reach it")
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_it_warns_when_other_machines_can_reach_it(host: str) -> None:
    async with running([*COMMAND, "--host", host, "--port", "0"]) as program:
        await program.line(r"WARNING.*open to other machines.*no authentication")
        found = await program.line(rf"listening on http://\[?{re.escape(host)}\]?:(\d+)/socket\.io/")
        await meet(f"http://127.0.0.1:{found[1]}")


async def test_it_does_not_warn_on_another_loopback_address() -> None:
    async with running([*COMMAND, "--host", "::1", "--port", "0"]) as program:
        found = await program.line(LISTENING)
        assert "WARNING" not in program.output
        await meet(found[1].removesuffix("/socket.io/"))


@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
async def test_an_address_that_is_taken_is_named() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with running([*COMMAND, "--port", port]) as program:
            assert await program.wait() == 1
            assert program.output == f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--host", "192.0.2.1"], "192.0.2.1:8000"),
        (["--host", "no-such-host.invalid"], "no-such-host.invalid:8000"),
        (["--host", "2001:db8::1"], "[2001:db8::1]:8000"),
        (["--uds", "/nowhere/at/all.sock"], "/nowhere/at/all.sock"),
        (["--uds", "/" + "x" * 200], "/" + "x" * 200),
    ],
)
async def test_an_address_that_can_not_be_bound_is_named(options: list[str], where: str) -> None:
    async with running([*COMMAND, *options]) as program:
        assert await program.wait() == 1
        assert program.output.startswith(f"Error: can't listen on {where}: ")
        assert len(program.output.splitlines()) == 1


@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_store_that_can_not_be_used_is_named(workers: str) -> None:
    options = ["--port", str(free_port()), "--backend", "machine:/proc/nowhere", "--workers", workers]
    async with running([*COMMAND, *options]) as program:
        assert await program.wait() == 1
        assert "/proc/nowhere" in program.output
        assert "Traceback" not in program.output


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1", "localhost"])
async def test_it_does_not_warn_on_a_loopback_address_however_it_is_written(host: str) -> None:
    async with running([*COMMAND, "--host", host, "--port", "0"]) as program:
        await program.line(LISTENING)
        assert "WARNING" not in program.output


def through(path: Path) -> Callable[[], aiohttp.BaseConnector]:
    return lambda: aiohttp.UnixConnector(path=str(path))


async def test_a_unix_socket(tmp_path: Path) -> None:
    """Also in the place of one that a killed server has left, but of no other."""
    path = tmp_path / "signal.sock"
    for transport in TRANSPORTS:
        async with running([*COMMAND, "--uds", path]) as program:
            found = await program.line(r"listening on unix:(\S+) ")
            assert found[1] == str(path)
            await meet("http://signal", transport=transport, connector=through(path))
            async with running([*COMMAND, "--uds", path]) as second:
                assert await second.wait() == 1
                assert f"can't listen on {path}: " in second.output
            program.send_signal(signal.SIGKILL)
            await program.wait()
        assert path.exists()


@pytest.mark.promise(
    "The command",
    "Another user's proxy can connect to a Unix socket; it can be trusted by name; only the server that "
    "made it removes its file",
)
@pytest.mark.parametrize("mask", ["022", "077"])
async def test_a_proxy_that_is_another_user_may_connect_to_a_unix_socket(mask: str, tmp_path: Path) -> None:
    path = tmp_path / "signal.sock"
    started = ["sh", "-c", f'umask {mask}; exec "$@"', "sh", *COMMAND, "--uds", path]
    async with running(started) as program:
        await program.line(LISTENING)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.promise(
    "The command",
    "Another user's proxy can connect to a Unix socket; it can be trusted by name; only the server that "
    "made it removes its file",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_file_of_a_unix_socket_goes_with_its_server(
    workers: str, number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "signal.sock"
    async with redis_server() as redis:
        options: list[str | Path] = ["--workers", workers, "--redis-url", redis.url, "--uds", path]
        async with running([*COMMAND, *options]) as program:
            await program.line(LISTENING)
            await meet("http://signal", connector=through(path))
            program.send_signal(number)
            assert await program.wait() == 0
            assert not path.exists()


@pytest.mark.promise(
    "The command",
    "Another user's proxy can connect to a Unix socket; it can be trusted by name; only the server that "
    "made it removes its file",
)
async def test_the_file_of_another_server_that_has_taken_its_place_stays(tmp_path: Path) -> None:
    """As when the next release is started before the last has ended: file systems use a file's number again."""
    path = tmp_path / "signal.sock"
    async with running([*COMMAND, "--uds", path]) as first:
        await first.line(LISTENING)
        path.unlink()
        async with running([*COMMAND, "--uds", path]) as second:
            await second.line(LISTENING)
            first.send_signal(signal.SIGTERM)
            assert await first.wait() == 0
            await meet("http://signal", connector=through(path))


async def test_a_file_that_is_gone_already_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "signal.sock"
    async with running([*COMMAND, "--uds", path]) as program:
        await program.line(LISTENING)
        path.unlink()
        program.send_signal(signal.SIGTERM)
        assert await program.wait() == 0
        assert "Traceback" not in program.output


async def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("kept")
    async with running([*COMMAND, "--uds", path]) as program:
        assert await program.wait() == 1
    assert path.read_text() == "kept"


async def test_tls(tmp_path: Path) -> None:
    certfile, keyfile = map(str, certificate(tmp_path))

    def connector() -> aiohttp.BaseConnector:
        return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certfile))

    async with serve("--ssl-certfile", certfile, "--ssl-keyfile", keyfile) as server:
        assert server.url.startswith("https://")
        for transport in TRANSPORTS:
            await meet(server.url, transport=transport, connector=connector)


async def test_a_certificate_that_is_not_the_keys_is_refused(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    keyfile.write_text("no key")
    async with running([*COMMAND, "--ssl-certfile", certfile, "--ssl-keyfile", keyfile]) as program:
        assert await program.wait() == 2
        assert "--ssl-keyfile" in program.output.splitlines()[-1]
        assert "Traceback" not in program.output


@pytest.mark.promise("The command", "`--help` is quick; no token is logged")
@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"]])
async def test_help_is_quick(arguments: list[str]) -> None:
    """The best of three, for the machine may be busy."""
    taken = []
    for _ in range(3):
        start = time.monotonic()
        async with running([SCRIPTS / "walkie-signal", *arguments]) as program:
            assert await program.wait() == 0
        taken.append(time.monotonic() - start)
        if taken[-1] < 1.5:
            return
    raise AssertionError(f"{taken} s")
