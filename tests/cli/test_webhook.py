"""``serve --webhook``: who hears what of real peers, how it is verified, and that it holds nobody up."""

from __future__ import annotations

import os
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from auth.issuer import SECRET as TOKEN_SECRET
from auth.issuer import token
from support.certificates import certificate
from support.limits import arguments_of, unlimited
from support.process_table import children_of, table
from support.processes import SCRIPTS, running
from support.receiver import OTHER, PREVIOUS, SECRET, receiver
from support.servers import free_port, serve
from support.stock import peers, refusal
from support.waiting import eventually
from walkie_signal.bounded_log import MOST
from walkie_signal.cli.serving import HASTE, LAST_EVENTS, POLL_TIMEOUT

ENV = {"WALKIE_SIGNAL_WEBHOOK_SECRET": SECRET}
FREELY = arguments_of(unlimited())


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
async def test_a_join_and_a_leave_are_told_and_can_be_verified() -> None:
    async with receiver() as hook, serve("--webhook", hook.url, env=ENV) as server:
        async with peers(server.url, None) as (peer,):
            await peer.join("gate", userId=7, role="guard")
            joined = await hook.hears("member.joined")
            about = {"peerId": peer.peer_id, "userId": 7, "role": "guard"}
            assert joined == {"room": "gate", **about}
            await peer.join("dock", userId=7, role="guard")
        left = await hook.hears("member.left", reason="disconnected")
        assert left == {"room": "dock", **about, "reason": "disconnected"}
        for request in hook.requests:
            request.verify()
            assert request.line == "POST /hook HTTP/1.1"
            assert request.headers["content-type"] == "application/json"
            with pytest.raises(WebhookVerificationError):
                request.verify(OTHER)
        told = [(event["type"], event["data"]["room"]) for event in hook.events]
        assert told == [
            ("member.joined", "gate"),
            ("member.joined", "dock"),
            ("member.left", "gate"),
            ("member.left", "dock"),
        ]


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
async def test_refusals_are_told_of_each_sort_only_some() -> None:
    options = ["--jwt-secret", TOKEN_SECRET, "--webhook", "", "--room-capacity", "1", *FREELY]
    async with receiver() as hook:
        options[3] = hook.url
        async with serve(*options, env=ENV) as server:
            async with peers(server.url, "gate", None, auth={"token": token()}) as (_, late):
                assert (await late.ask("join_room", {"room": "gate"}))["error"]["code"] == "room_full"
                refused = await hook.hears("event.refused", code="room_full")
                assert refused == {
                    "event": "join_room",
                    "code": "room_full",
                    "peerId": late.peer_id,
                    "leftOut": 0,
                }
            for _ in range(MOST + 5):
                await refusal(server.url, auth={})
            await refusal(server.url, auth={"token": "x"})
            await hook.hears("connect.refused", why="unauthorized, the token is malformed")
            of_none = [each for each in hook.of("connect.refused") if each["why"] == "unauthorized, no token"]
            assert of_none == [{"why": "unauthorized, no token", "address": "127.0.0.1", "leftOut": 0}] * MOST


@pytest.mark.promise(
    "The command",
    "What the receiver of a webhook does not take is sent again under its id, for a bounded time",
)
@pytest.mark.parametrize("way", [500, 429, 408, "hang", "trickle", "cut", b"nonsense\r\n"], ids=repr)
async def test_what_was_not_taken_is_sent_again_under_its_id_and_first(way: Any) -> None:
    options = ("--webhook-timeout", "1")
    async with receiver() as hook, serve("--webhook", hook.url, *options, env=ENV) as server:
        hook.ways.append(way)
        async with peers(server.url, "gate") as (peer,):
            peer_id = peer.peer_id
            (first,) = await hook.has(1)
            assert [event["data"]["peerId"] for event in first.events] == [peer_id]
        repeated = (await hook.has(2))[1]
        assert (repeated.webhook_id, repeated.body) == (first.webhook_id, first.body)
        repeated.verify()
        assert (await hook.hears("member.left"))["peerId"] == peer_id
        assert [event["type"] for event in hook.events] == ["member.joined", "member.left"]
        await server.program.line("webhook: 127.0.0.1:\\d+ takes no events: ")
        await server.program.line("webhook: 127.0.0.1:\\d+ takes events again")
        assert "Traceback" not in server.program.output


@pytest.mark.promise(
    "The command",
    "What the receiver of a webhook does not take is sent again under its id, for a bounded time",
)
async def test_a_receiver_that_comes_late_hears_what_was_before() -> None:
    port = free_port()
    async with (
        serve("--webhook", f"http://127.0.0.1:{port}/hook", env=ENV) as server,
        peers(server.url, "gate", "gate") as (one, other),
    ):
        await server.program.line("takes no events: Connection refused")
        async with receiver(port=port) as hook:
            await hook.hears("member.joined", peerId=other.peer_id)
            assert [data["peerId"] for data in hook.of("member.joined")] == [one.peer_id, other.peer_id]


@pytest.mark.promise(
    "The command",
    "What the receiver of a webhook does not take is sent again under its id, for a bounded time",
)
@pytest.mark.parametrize(("way", "why"), [(400, "it answers 400"), (307, "it answers 307")])
async def test_what_was_refused_is_not_sent_again(way: int, why: str) -> None:
    async with receiver() as hook, serve("--webhook", hook.url, env=ENV) as server:
        hook.ways.append(way)
        async with peers(server.url, "gate"):
            await hook.has(1)
        await hook.hears("member.left")
        ids = [request.webhook_id for request in hook.requests]
        assert len(set(ids)) == len(ids)
        await server.program.line(f"events lost so far: 1, the last ones because: {why}")


@pytest.mark.promise(
    "The command",
    "What the receiver of a webhook does not take is sent again under its id, for a bounded time",
)
async def test_a_request_is_given_up_after_its_time() -> None:
    options = ("--webhook-retry-for", "0")
    async with receiver() as hook, serve("--webhook", hook.url, *options, env=ENV) as server:
        hook.ways.append(503)
        async with peers(server.url, "gate"):
            await hook.has(1)
        await hook.hears("member.left")
        assert len({request.webhook_id for request in hook.requests}) == len(hook.requests)
        await server.program.line("events lost so far: 1, the last ones because: tried for 0 s")


@pytest.mark.promise(
    "The command",
    "A receiver of a webhook that hangs or is away holds nobody up, and what is kept for it is bounded",
)
async def test_a_receiver_that_never_answers_holds_nobody_up() -> None:
    async with receiver("hang") as hook, serve("--webhook", hook.url, *FREELY, env=ENV) as server:
        async with peers(server.url, "gate") as (first,):
            await hook.has(1)
            times = []
            for number in range(50):
                begun = time.monotonic()
                await first.join(f"room-{number}")
                times.append(time.monotonic() - begun)
            assert max(times) < 1.0, times
            assert len(hook.requests) == 1, "another one was sent before the first was answered"
            begun = time.monotonic()
            server.program.send_signal(signal.SIGTERM)
            assert await server.program.wait() == 0
            assert time.monotonic() - begun < POLL_TIMEOUT + HASTE + LAST_EVENTS + 2
        lost = 1 + 50 + 50 + 1
        assert f"webhook: events lost in all: {lost}" in server.program.output
        assert "Traceback" not in server.program.output


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_end_tells_that_all_have_left(transport: str) -> None:
    async with (
        receiver() as hook,
        serve("--webhook", hook.url, env=ENV) as server,
        peers(server.url, *["gate"] * 10, transport=transport) as connected,
    ):
        here = {peer.peer_id for peer in connected}
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait(POLL_TIMEOUT + HASTE + LAST_EVENTS + 3) == 0
        assert {data["peerId"] for data in hook.of("member.left")} == here
        assert len(hook.of("member.left")) == 10
        assert "lost" not in server.program.output


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
async def test_each_fact_is_told_once_whichever_worker_it_is_on() -> None:
    async with (
        receiver() as hook,
        serve("--workers", "2", "--webhook", hook.url, env=ENV) as server,
        peers(server.url, *["gate"] * 12) as connected,
    ):
        here = sorted(peer.peer_id for peer in connected)
        await eventually(lambda: len(hook.of("member.joined")), lambda number: number >= 12)
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait() == 0
        senders = {event["id"].partition("-")[0] for event in hook.events}
        assert len(senders) == 2, "all peers were on one worker"
        for kind in ("member.joined", "member.left"):
            assert sorted(data["peerId"] for data in hook.of(kind)) == here, kind


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
async def test_the_peers_of_a_worker_that_is_killed_are_told_to_have_left_once() -> None:
    async with (
        receiver() as hook,
        serve("--workers", "3", "--webhook", hook.url, env=ENV) as server,
        peers(server.url, *["gate"] * 15) as connected,
    ):
        ids = {peer.peer_id: peer for peer in connected}
        await eventually(lambda: len(hook.of("member.joined")), lambda number: number >= 15)
        workers = [pid for pid, command in children_of(server.program.pid).items() if "spawn_main" in command]
        os.kill(workers[0], signal.SIGKILL)
        (stays, *_) = await eventually(lambda: [peer for peer in connected if peer.all("peer_disconnected")])
        gone = {peer_id for peer_id, peer in ids.items() if peer.all("disconnect")}
        await stays.until(lambda: len(stays.all("peer_disconnected")) == len(gone), "all that are gone")
        await eventually(lambda: len(hook.of("member.left")), lambda number: number >= len(gone))
        assert {data["reason"] for data in hook.of("member.left")} == {"node_lost"}
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait() == 0
        assert sorted(data["peerId"] for data in hook.of("member.left")) == sorted(ids)


@pytest.mark.promise(
    "The command",
    "`--webhook` tells a URL of joins, leaves and refusals, signed as Standard Webhooks has it, in their order",
)
async def test_it_reaches_a_receiver_by_tls_whose_certificate_is_trusted(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certfile, keyfile)
    async with receiver(tls=tls) as hook:
        trusting = {**ENV, "SSL_CERT_FILE": str(certfile)}
        async with serve("--webhook", hook.url, env=trusting) as server, peers(server.url, "gate"):
            await hook.hears("member.joined")
        number = len(hook.requests)
        async with serve("--webhook", hook.url, env=ENV) as server, peers(server.url, "gate"):
            await server.program.line("takes no events: .*CERTIFICATE_VERIFY_FAILED")
        assert len(hook.requests) == number


@pytest.mark.promise(
    "The command", "Tokens by a secret, a public key or a URL; a secret is never shown, by `ps` neither"
)
@pytest.mark.parametrize("how", ["environment", "file", "option", "rotation"])
async def test_neither_the_secret_nor_what_the_url_holds_is_shown(how: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(f"{SECRET}\n")
    options = {
        "environment": [],
        "file": [f"--webhook-secret-file={kept}"],
        "option": ["--webhook-secret", SECRET],
        "rotation": ["--webhook-secret", SECRET, "--webhook-previous-secret", PREVIOUS],
    }[how]
    env = ENV if how == "environment" else None
    async with receiver() as hook:
        hook.ways.append(500)
        url = hook.url.replace("//", "//walkie:pass%40word@") + "?key=of-the-query"
        async with serve(
            *options, "--workers", "2", "--webhook", url, "--log-level", "debug", env=env
        ) as server:
            async with peers(server.url, "gate"):
                await hook.hears("member.joined")
            for request in await hook.has(3):
                request.verify()
                assert request.line == "POST /hook?key=of-the-query HTTP/1.1"
                assert request.headers["authorization"] == "Basic d2Fsa2llOnBhc3NAd29yZA=="
                if how == "rotation":
                    request.verify(PREVIOUS)
            listed = [each.command for each in table() if server.program.pid in (each.pid, each.parent)]
            assert len(listed) >= 3
            shown = " ".join(listed) + server.program.output
            for secret in (SECRET, PREVIOUS, "pass%40word", "of-the-query"):
                assert secret not in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--webhook", "https://x/hook"], "give --webhook-secret or --webhook-secret-file too"),
        (["--webhook-secret", SECRET], "--webhook-secret: there is no --webhook"),
        (["--webhook-timeout", "3"], "--webhook-timeout: there is no --webhook"),
        (
            ["--webhook", "https://x", "--webhook-secret", "s-3cret!"],
            "--webhook-secret: the secret is not base64",
        ),
        (
            ["--webhook", "https://x", "--webhook-secret", "s3cret00"],
            "the secret has 6 bytes: it needs 24 to 64",
        ),
        (
            ["--webhook", "https://x", "--webhook-secret", SECRET, "--webhook-previous-secret", "s3cret00"],
            "--webhook-previous-secret: the secret has 6 bytes",
        ),
        (
            ["--webhook", "https://x", "--webhook-secret", SECRET, "--webhook-secret-file", "/x"],
            "give --webhook-secret or --webhook-secret-file, not both",
        ),
        (["--webhook", "https://x", "--webhook-secret-file", "/nowhere"], "/nowhere: No such file"),
        (["--webhook", "ftp://s3cret00@x", "--webhook-secret", SECRET], "write a URL such as https://"),
        (["--webhook", "https://x:port", "--webhook-secret", SECRET], "write a URL such as https://"),
        (["--webhook", "https://", "--webhook-secret", SECRET], "write a URL such as https://"),
        (["--webhook", "https://x/#s3cret00", "--webhook-secret", SECRET], "write a URL such as https://"),
    ],
)
@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
async def test_what_can_not_work_is_named_without_secrets(options: list[str], said: str) -> None:
    async with running([SCRIPTS / "walkie-signal", "serve", "--port", str(free_port()), *options]) as program:
        assert await program.wait() == 2
        assert said in " ".join(program.output.split())
        for secret in (SECRET, "s-3cret!", "s3cret00"):
            assert secret not in program.output
