"""``--redis-url``: what is said of it, and that its password is said nowhere."""

from __future__ import annotations

import sys
from urllib.parse import quote

import pytest

from support.processes import SCRIPTS, running
from support.redis import redis_server
from support.servers import free_port, serve
from support.stock import meet

PASSWORD = "hunter2/of:the@url"
USER = "walkie-of-the-url"
WRITTEN = quote(PASSWORD, safe="")


def secrets_in(output: str) -> list[str]:
    """Return what nobody may read in a log: also parts, as what fails to parse a URL may quote."""
    return [secret for secret in (USER, PASSWORD, WRITTEN, "hunter2") if secret in output]


async def test_the_line_at_the_start_names_redis_without_who_asks() -> None:
    async with redis_server() as redis:
        await redis.command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all")
        url = f"redis://{USER}:{WRITTEN}@127.0.0.1:{redis.port}/3"
        async with serve("--log-level", "debug", env={"WALKIE_SIGNAL_REDIS_URL": url}) as server:
            assert f"rooms in Redis at 127.0.0.1:{redis.port}/3)" in server.program.output
            await meet(server.url)
            assert await redis.command("DBSIZE") == 0
            await redis.restart()  # which knows that user no more
            await server.program.line(r"WARNING.*Redis at .*WRONGPASS")
            assert secrets_in(server.program.output) == []


@pytest.mark.promise("Many nodes", "`/readyz` says whether peers can join; no log line holds Redis' password")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_password_that_is_wrong_is_told_and_not_shown(workers: str) -> None:
    async with redis_server() as redis:
        options = (
            "--redis-url",
            f"redis://{USER}:{WRITTEN}@127.0.0.1:{redis.port}/0",
            "--log-level",
            "debug",
        )
        async with serve(*options, "--workers", workers) as server:
            await server.program.line(r"WARNING.*Redis at .*WRONGPASS")
            assert secrets_in(server.program.output) == []


async def test_a_redis_that_is_not_there_is_told_without_its_password() -> None:
    port = free_port()
    options = ("--redis-url", f"redis://{USER}:{WRITTEN}@127.0.0.1:{port}/0", "--log-level", "debug")
    async with serve(*options) as server:
        await server.program.line(rf"WARNING.*Redis at 127\.0\.0\.1:{port}/0: ")
        assert secrets_in(server.program.output) == []


@pytest.mark.parametrize("form", ["http://{}@host", "redis//{}@host", "redis://{}@host:port/0", "{}"])
@pytest.mark.parametrize("written", [PASSWORD, WRITTEN, "hunter2 of"])
async def test_a_wrong_form_is_refused_without_being_shown(form: str, written: str) -> None:
    url = form.format(f"{USER}:{written}")
    async with running([SCRIPTS / "walkie-signal", "serve", "--redis-url", url]) as program:
        assert await program.wait() == 2
        assert "--redis-url" in program.output.splitlines()[-1]
        assert secrets_in(program.output) == []


async def test_without_the_extra_it_says_what_to_install() -> None:
    """The environment has it: hiredis is made impossible to import, as Python itself does it."""
    run = "import sys; sys.modules['hiredis'] = None; from walkie_signal.cli import main; main()"
    command = [sys.executable, "-c", run, "serve", "--port", "0", "--redis-url", "redis://127.0.0.1"]
    async with running(command) as program:
        assert await program.wait() == 1
        assert program.output.startswith("Error: ")
        assert "pip install 'walkie-signal[redis]'" in program.output
        assert len(program.output.splitlines()) == 1
