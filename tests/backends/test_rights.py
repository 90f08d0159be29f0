"""Servers have many texts for a command that they refuse."""

from __future__ import annotations

import asyncio

import hiredis
import pytest

from walkie_signal.backends.redis.rights import Housekeeping, is_refusal
from walkie_signal.backends.redis.wire import Wire, ignore, words
from walkie_signal.backends.shared.lifetime import UNLIMITED

pytestmark = pytest.mark.promise(
    "Many nodes",
    "A command that Redis refuses is named once, and the node goes on without it if it is only "
    "housekeeping; if the node needs it, it is tried until it is allowed",
)

BEFORE = "ERR Error running script (call to f_6f4a): @user_script:3: @user_script: 3: "
"""Of a script's error in Redis 6.2."""

REFUSALS = [
    "NOPERM this user has no permissions to run the 'client|list' command",
    "ERR unknown command 'CLIENT', with args beginning with: 'LIST' ",
    "ERR unknown subcommand 'LIST'. Try CLIENT HELP.",
    "ERR Unknown subcommand or wrong number of arguments for 'LIST'. Try CLIENT HELP.",
    "ERR Command is not available: 'CLIENT'. See https://upstash.com/docs",
    "ERR command 'client' not support for normal user",
    "ERR unsupported command 'client'",
    "unsupported command 'client'",
    "ERR This command is restricted",
    "ACL failure in script: No permissions to access a channel",
    "The user executing the script can't run this command or subcommand",
    "The user executing the script can't publish to the channel mentioned in the command",
    "The user executing the script is lacking the permissions for the command",
    f"{BEFORE}Unknown Redis command called from Lua script",
]

OTHERS = [
    f"{BEFORE}-MISCONF Redis is configured to save RDB snapshots. Commands that modify the data set are disabled",
    f"{BEFORE}-READONLY You can't write against a read only replica.",
    "MISCONF Commands that may modify the data set are disabled",
    "ERR max number of clients reached",
    "NOAUTH Authentication required.",
    "LOADING Redis is loading the dataset in memory",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_these_are_refusals(text: str) -> None:
    assert is_refusal(hiredis.ReplyError(text))


@pytest.mark.parametrize("text", OTHERS)
def test_these_are_not(text: str) -> None:
    assert not is_refusal(hiredis.ReplyError(text))


def test_of_a_script_s_error_the_code_comes_first_in_every_release() -> None:
    assert words(hiredis.ReplyError(OTHERS[0])).startswith("MISCONF Redis is configured")
    assert words(hiredis.ReplyError(OTHERS[1])) == "READONLY You can't write against a read only replica"


async def _asked(answer: str) -> object:
    """Ask a server for housekeeping that has one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(f"-{answer}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(lambda *_: None, ignore, UNLIMITED)
    async with server:
        await asyncio.get_running_loop().create_connection(lambda: wire, *server.sockets[0].getsockname())
        try:
            return await asyncio.wait_for(Housekeeping("it").ask(wire, "CLIENT", "LIST", "ID", 1), 5)
        finally:
            wire.abort()


@pytest.mark.parametrize("text", ["ERR syntax error", "ERR no such thing here", *REFUSALS[:6]])
async def test_housekeeping_is_done_without_whatever_words_a_server_has_for_it(text: str) -> None:
    assert await _asked(text) is None


@pytest.mark.parametrize("text", OTHERS[2:])
async def test_what_concerns_more_than_housekeeping_is_not_taken_for_a_refusal(text: str) -> None:
    with pytest.raises(hiredis.ReplyError):
        await _asked(text)
