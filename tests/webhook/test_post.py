"""One request: it has an end whatever the receiver does, and its thread too."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support.certificates import certificate
from support.receiver import Receiver as Server
from support.receiver import Way, receiver
from support.waiting import becomes
from walkie_signal.webhook.post import Answer, Poster
from walkie_signal.webhook.receiver import Receiver

TIMEOUT = 0.5
HEADERS = {"webhook-id": "a-1"}


def poster(server: Server) -> Poster:
    return Poster(Receiver.of_url(server.url), TIMEOUT)


def threads() -> int:
    return sum(thread.name == "walkie-signal webhook" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("way", "answer"),
    [
        (204, Answer(204, "it answers 204")),
        (503, Answer(503, "it answers 503")),
        (b"HTTP/1.1 429 X\r\nretry-after: 7\r\n", Answer(429, "it answers 429", 7.0)),
        (b"HTTP/1.1 503 X\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n", Answer(503, "it answers 503")),
        (b"HTTP/1.1 503 X\r\nretry-after: " + b"9" * 400 + b"\r\n", Answer(503, "it answers 503")),
        (b"a-secret-of-theirs\r\n", Answer(None, "its answer is not HTTP (BadStatusLine)")),
        ("hang", Answer(None, "no answer within 0.5 s")),
        ("trickle", Answer(None, "no answer within 0.5 s")),
        ("cut", Answer(None, "Remote end closed connection without response")),
    ],
)
async def test_what_became_of_a_request(way: Way, answer: Answer) -> None:
    async with receiver(way) as server:
        begun = time.monotonic()
        assert await poster(server).post(HEADERS, b"{}") == answer
        assert time.monotonic() - begun < TIMEOUT + 1
        await becomes(threads, 0)
        assert [request.body for request in server.requests] == [b"{}"]


async def test_a_server_that_is_none_and_a_name_that_is_none_are_told() -> None:
    async with receiver() as server:
        away = poster(server)
    assert await away.post(HEADERS, b"{}") == Answer(None, "Connection refused")
    for host in ("no-such-host.invalid", f"{'x' * 64}.example"):
        answer = await Poster(Receiver.of_url(f"http://{host}/"), 10).post(HEADERS, b"{}")
        assert answer.status is None
        assert answer.words


async def test_a_tls_handshake_that_never_ends_is_cut_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Receiver.of_url(f"https://127.0.0.1:{silent.getsockname()[1]}/")
        answer = await Poster(place, TIMEOUT).post(HEADERS, b"{}")
        assert answer == Answer(None, "no answer within 0.5 s")
        await becomes(threads, 0)


async def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certfile, keyfile = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certfile, keyfile)
    async with receiver(tls=tls) as server:
        answer = await poster(server).post(HEADERS, b"{}")
        assert "CERTIFICATE_VERIFY_FAILED" in answer.words
        monkeypatch.setenv("SSL_CERT_FILE", str(certfile))
        assert (await poster(server).post(HEADERS, b"{}")).status == 204
        assert len(server.requests) == 1


async def test_while_a_name_is_looked_up_for_ever_there_is_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No resolver of a test can be made to hang, so the standard library's own function is made to."""
    found = threading.Event()
    connect = socket.create_connection

    def slow(*arguments: Any) -> Any:
        found.wait()
        return connect(*arguments)

    async with receiver() as server:
        monkeypatch.setattr(socket, "create_connection", slow)
        slowly = poster(server)
        assert (await slowly.post(HEADERS, b"{}")).words == "no answer within 0.5 s"
        assert (await slowly.post(HEADERS, b"{}")).words == "the name of its host is still being looked up"
        assert threads() == 1
        found.set()
        await becomes(threads, 0)
        assert server.requests == [], "what was given up was sent after all"
        assert (await slowly.post(HEADERS, b"{}")).status == 204
