"""What the users of stock clients see when they are refused, by polling and on a WebSocket, and who comes back.

For each library one program runs all peers of a test (``npm/watched.js`` says how). That a peer stays away shows by
another one, which nobody serves: when it has tried ten times more, whoever meant to come back has tried too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from auth.issuer import SECRET, token
from clients.test_java import jar
from support.node import PEERS, require_packages
from support.peers import raw_peer
from support.processes import Program, running
from support.servers import free_port, hosted, serve
from support.stock import TRANSPORTS, peers, refusal
from support.waiting import eventually
from walkie_signal import JWTAuth, attach

__all__ = ["jar"]

pytestmark = pytest.mark.promise(
    "Limits",
    "Stock clients on npm, Java and Python tell their users of each refusal, with its code and its data",
)

SECRETS = {"WALKIE_SIGNAL_JWT_SECRET": SECRET}
LOST = "transport close", "transport error"
STAY_AWAY = "io server disconnect", "server disconnect"
"""The reasons of a `disconnect` after which a client comes back by itself, and after which it stays away."""

AT_CONNECT: dict[str, tuple[dict[str, Any], int | None]] = {
    "bad token": ({"code": "unauthorized"}, None),
    "no token": ({"code": "unauthorized"}, None),
    "one of too many": ({"code": "unauthorized"}, 60_000),
    "second device": ({"code": "already_connected"}, 18_000),
    "many devices": ({"code": "rate_limited", "limit": "connections_per_user"}, 18_000),
    "no keys": ({"code": "unavailable"}, 60_000),
}
"""What is wrong with a peer; the data that its user sees, and the most milliseconds to wait, if that is said."""

TRIES = 10


@pytest.fixture(
    params=[
        pytest.param("npm", marks=pytest.mark.node),
        pytest.param("java", marks=pytest.mark.java),
        "python",
    ]
)
def client(request: pytest.FixtureRequest) -> str:
    """Return a library, whose program is built."""
    if request.param == "java":
        request.getfixturevalue("jar")
    name: str = request.param
    return name


class Watched:
    """The peers of one program, and what their users saw."""

    def __init__(self, program: Program) -> None:
        self._program = program

    @property
    def seen(self) -> dict[str, list[list[Any]]]:
        """What each peer saw, by its name; aiohttp has lines of its own, on sessions that were left open."""
        found: dict[str, list[list[Any]]] = {}
        for line in self._program.output.splitlines():
            if line.startswith("["):
                name, *what = json.loads(line)
                found.setdefault(name, []).append(what)
        return found

    async def saw(self, name: str, *beginning: Any, times: int = 1) -> list[list[Any]]:
        """Wait until a peer has seen something so many times; returns all that it saw."""
        await eventually(
            lambda: self.seen.get(name, []),
            lambda seen: sum(each[: len(beginning)] == [*beginning] for each in seen) >= times,
            lambda: f"{times} times {beginning} of {name}; output:\n{self._program.output}\n",
            within=30,
        )
        return self.seen[name]

    async def all_have_tried(self) -> None:
        """Wait until whoever comes back by itself has tried to, after all that was seen until now."""
        before = len(self.seen.get("nobody", []))
        await self.saw("nobody", "connect_error", times=before + TRIES)


@asynccontextmanager
async def watched(client: str, specs: Iterable[dict[str, Any]]) -> AsyncIterator[Watched]:
    """Run these peers in one program, and one that finds no server."""
    nobody = {"name": "nobody", "url": f"http://127.0.0.1:{free_port()}", "transport": "polling"}
    given = json.dumps([*specs, nobody])
    if client == "python":
        async with running([sys.executable, Path(__file__).parent / "watched.py", given]) as program:
            yield Watched(program)
    elif client == "java":
        classes = PEERS.parent / "java" / "target" / "peer.jar"
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", str(classes)]
        async with running([*java, "peer.Watched", given]) as program:
            yield Watched(program)
    else:
        require_packages()
        library = {"npm": "socket.io-client", "npm 3": "socket.io-client-3"}[client]
        async with running(["node", "watched.js", library, given], cwd=PEERS) as program:
            yield Watched(program)


def both(name: str, url: str, *shown: dict[str, Any] | str, **on: Any) -> Iterable[dict[str, Any]]:
    """Return a peer for each transport: a user of its own, who shows tokens with these claims, or these texts."""
    for transport in TRANSPORTS:
        whole = f"{name} {transport}"
        tokens = [each if isinstance(each, str) else _signed(whole, each) for each in shown]
        yield {"name": whole, "url": url, "transport": transport, "tokens": tokens, "on": on}


def _signed(user: str, claims: dict[str, Any]) -> str:
    return token(**{"sub": user, **claims})


def asked(event: str, payload: Any, times: int = 1) -> dict[str, Any]:
    """Return an event that is sent with an ack."""
    return {"emit": [event, payload], "ack": True, "times": times}


def timed(error: dict[str, Any], most: int | None) -> dict[str, Any]:
    """Return an error without its `retryAfterMs`, which is above 0 and at most `most`, or missing for ``None``."""
    wait = error.pop("retryAfterMs", None)
    assert (wait is None) == (most is None), (error, wait)
    assert wait is None or 0 < wait <= most, (error, wait)
    error.pop("message")
    return error


async def test_who_is_refused_at_connect_hears_why_and_stays_away(client: str) -> None:
    once: dict[str, Any] = {"sub": "connected"}
    async with AsyncExitStack() as stack:
        strict = await stack.enter_async_context(
            serve("--connections-per-user", "1", "--bad-credentials", "1", env=SECRETS)
        )
        single = await stack.enter_async_context(serve("--user-connections", "refuse", env=SECRETS))
        keyless = await stack.enter_async_context(
            serve("--jwt-jwks-url", f"http://127.0.0.1:{free_port()}/keys")
        )
        await refusal(strict.url, auth={"token": "bad"})
        for server in (strict, single):
            await stack.enter_async_context(peers(server.url, None, auth={"token": token(**once)}))
        watch = await stack.enter_async_context(
            watched(
                client,
                [
                    *both("bad token", single.url, "bad"),
                    *both("no token", single.url),
                    *both("one of too many", strict.url, "bad"),
                    *both("second device", single.url, once),
                    *both("many devices", strict.url, once),
                    *both("no keys", keyless.url, token(headers={"kid": "any"})),
                ],
            )
        )
        names = [f"{name} {transport}" for name in AT_CONNECT for transport in TRANSPORTS]
        for name in names:
            await watch.saw(name, "connect_error")
        await watch.all_have_tried()
        for name in names:
            ((what, data, message),) = watch.seen[name]
            assert (what, data["message"]) == ("connect_error", message)
            said, most = AT_CONNECT[name.rpartition(" ")[0]]
            assert timed(data, most) == said, name


async def test_who_is_refused_by_the_transport_tries_until_there_is_room(client: str) -> None:
    """A user sees an error without data; the status too, where the library says it."""
    crowded, half_open = "too many of the address", "too many that joined nothing"
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serve("--connections-per-address", "2"))
        other = await stack.enter_async_context(serve("--half-open", "1", "--half-open-per-address", "0"))
        async with peers(one.url, None, None), raw_peer(other.url):
            specs = [*both(crowded, one.url), *both(half_open, other.url)]
            watch = await stack.enter_async_context(watched(client, specs))
            for spec in specs:
                seen = await watch.saw(spec["name"], "connect_error", times=3)
                assert {what for what, *_ in seen} == {"connect_error"}
                assert {data for _, data, _ in seen} == {None}
                status = {"polling": {crowded: "429", half_open: "503"}, "websocket": {}}[spec["transport"]]
                shown = status.get(spec["name"].rpartition(" ")[0], "403" if client == "java" else "")
                assert client == "python" or all(shown in text for *_, text in seen), seen
        for spec in specs:
            await watch.saw(spec["name"], "connect")


async def test_who_is_refused_in_a_session_hears_why(client: str) -> None:
    leave, yard = ("leave_room", {"room": "yard"}), {"room": "yard"}
    limits = ("--event-rate", "0.1", "--event-burst", "20", "--join-rate", "0.1", "--join-burst", "2")
    async with serve(*limits, env=SECRETS) as server:
        specs = [
            *both("forbidden", server.url, {"rooms": ["gate"]}, connect=[asked("join_room", yard)]),
            *both("joins", server.url, {}, connect=[asked("join_room", yard, times=3)]),
            *both("events", server.url, {}, connect=[asked(*leave, times=21)]),
            *both("no ack", server.url, {}, connect=[{"emit": leave}]),
            *both("flood", server.url, {}, connect=[{"emit": leave, "times": 1100}]),
        ]
        async with watched(client, specs) as watch:
            for transport in TRANSPORTS:
                answers = [
                    each[2] for each in await watch.saw(f"forbidden {transport}", "ack") if each[0] == "ack"
                ]
                assert [timed(each["error"], None) for each in answers] == [{"code": "forbidden"}]
                for name, limit, times in (("joins", "join_rate", 3), ("events", "event_rate", 21)):
                    seen = await watch.saw(f"{name} {transport}", "ack", times=times)
                    errors = [each[2].get("error", {}) for each in seen if each[0] == "ack"]
                    (over,) = [each for each in errors if each.get("code") == "rate_limited"]
                    assert timed(over, 10_000) == {"code": "rate_limited", "limit": limit}
                *_, (_, error) = await watch.saw(f"no ack {transport}", "signal_error")
                assert timed(error, None) == {"event": "leave_room", "code": "not_in_room"}
                seen = await watch.saw(f"flood {transport}", "connect", times=2)
                errors = [each[1] for each in seen if each[0] == "signal_error"]
                over = next(each for each in errors if each["code"] == "rate_limited")
                assert timed(over, 10_000) == {
                    "event": "leave_room",
                    "code": "rate_limited",
                    "limit": "event_rate",
                }
                states = [each for each in seen if each[0] != "signal_error"]
                assert [what for what, *_ in states] == ["connect", "disconnect", "connect"]
                assert states[1][1] in LOST
                assert client == "python" or seen[-2][0] == "disconnect", "nothing is heard after the end"


async def test_whose_token_ends_is_told_and_comes_back_with_a_fresh_one(client: str) -> None:
    """With the old one it is refused; then only python-socketio tries on."""
    async with serve("--jwt-leeway", "0", env=SECRETS) as server:
        ending = {"exp": time.time() + 3}
        specs = [
            *both("stale", server.url, ending),
            *both("fresh", server.url, ending, {}),
            *(
                {
                    **spec,
                    "on": {"token_expired": [asked("refresh_token", {"token": shown}) for shown in tokens]},
                }
                for spec in both("refreshing", server.url, ending)
                for tokens in [(token(sub="another"), token(sub=spec["name"]))]
            ),
        ]
        async with watched(client, specs) as watch:
            for transport in TRANSPORTS:
                fresh = await watch.saw(f"fresh {transport}", "connect", times=2)
                assert fresh[:2] == [["connect"], ["token_expired", {"graceMs": 4000}]]
                assert fresh[2][1] in LOST
                stale = await watch.saw(f"stale {transport}", "connect_error")
                assert [what for what, *_ in stale[:4]] == [
                    "connect",
                    "token_expired",
                    "disconnect",
                    "connect_error",
                ]
                assert timed(stale[3][1], None) == {"code": "unauthorized"}
            await watch.all_have_tried()
            for transport in TRANSPORTS:
                assert (len(watch.seen[f"stale {transport}"]) > 4) == (client == "python")
                told, refused, *after = watch.seen[f"refreshing {transport}"][1:]
                assert (told[0], refused[2]["error"]["code"]) == ("token_expired", "unauthorized")
                assert after == [["ack", "refresh_token", {"ok": True}]]


async def test_who_is_replaced_or_revoked_is_told_once_and_stays_away(client: str) -> None:
    app: Any = attach(FastAPI(), authenticate=JWTAuth(secret=SECRET))
    async with (
        serve("--user-connections", "replace", env=SECRETS) as server,
        hosted(app) as url,
        watched(client, [*both("replaced", server.url, {}), *both("revoked", url, {})]) as watch,
        AsyncExitStack() as stack,
    ):
        names = [f"{name} {transport}" for name in ("replaced", "revoked") for transport in TRANSPORTS]
        for name in names:
            await watch.saw(name, "connect")
            if name.startswith("revoked"):
                await app.signaling.revoke(name)
            else:
                await stack.enter_async_context(peers(server.url, None, auth={"token": token(sub=name)}))
        for name in names:
            await watch.saw(name, "disconnect")
        await watch.all_have_tried()
        for name in names:
            assert watch.seen[name] in [[["connect"], ["disconnect", reason]] for reason in STAY_AWAY]


@pytest.mark.node
async def test_npm_client_3_tries_again_when_the_server_closes_what_has_joined_nothing() -> None:
    """It keeps the connection that it was refused on; the web page says so."""
    async with (
        serve("--connect-timeout", "1", env=SECRETS) as server,
        watched("npm 3", both("bad token", server.url, "bad")) as watch,
    ):
        for transport in TRANSPORTS:
            seen = await watch.saw(f"bad token {transport}", "connect_error", times=2)
            assert [what for what, *_ in seen[:3]] == ["connect_error", "disconnect", "connect_error"]
            assert timed(seen[0][1], None) == {"code": "unauthorized"}
