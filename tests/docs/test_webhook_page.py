"""The page about the webhook: its table is the one of the code, and its code verifies what is sent."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from docs.pages import PAGES
from support.processes import running
from support.receiver import OTHER, PREVIOUS, SECRET
from walkie_signal.core.changes import Member
from walkie_signal.core.facts import ConnectRefused, EventRefused, MemberJoined, MemberLeft
from walkie_signal.settings import ServeOptions
from walkie_signal.webhook import outcomes, sender
from walkie_signal.webhook.events import KINDS, text_of
from walkie_signal.webhook.signing import key_of, signed

PAGE = PAGES["docs/webhook.md"]
ANN = Member("hQ2x…", "gate", "guard", "u-7", "n1")
FACTS = (
    MemberJoined(ANN),
    MemberLeft(ANN, "disconnected"),
    ConnectRefused("unauthorized, no token", "192.0.2.1"),
    EventRefused("join_room", "room_full", "a", "a link"),
)


def event_of(fact: object) -> dict[str, Any]:
    kind = KINDS[type(fact)]
    found: dict[str, Any] = json.loads(text_of("p-1", kind, 0, kind.data(fact)))
    return found


@pytest.mark.promise("The docs", "Options, variables, events, codes and limits in them match the code")
def test_the_table_has_each_type_with_what_it_says() -> None:
    rows = {kind.strip("`"): data for kind, _, data in PAGE.table("`type`", "When", "`data`")}
    assert [*rows] == [kind.type for kind in KINDS.values()]
    joined = set(re.findall(r"`(\w+)`", rows["member.joined"])) - {"null"}
    rows["member.left"] = rows["member.left"].replace("the same", f"`{'`, `'.join(joined)}`")
    for fact in FACTS:
        event = event_of(fact)
        counted = {"leftOut"} if KINDS[type(fact)].sort else set()
        assert set(re.findall(r"`(\w+)`", rows[event["type"]])) - {"null"} == {*event["data"], *counted}


def test_the_example_is_what_is_sent() -> None:
    (block,) = PAGE.blocks("json")
    events = json.loads(block.code)["events"]
    for event, fact in zip(events, FACTS, strict=False):
        assert {**event_of(fact), "id": event["id"], "timestamp": event["timestamp"]} == event


def test_the_figures_are_those_of_the_code() -> None:
    options, text = ServeOptions(), " ".join(PAGE.text.split())
    assert f"`--webhook-timeout` ({options.webhook_timeout:g} s)" in text
    assert f"`--webhook-retry-for` ({options.webhook_retry_for / 60:g} minutes)" in text
    assert f"at most {sender.MOST_EACH} and {sender.BYTES_EACH >> 10} KiB" in text
    assert f"{sender.MOST_WAITING:,} events and {sender.BYTES_WAITING >> 20} MiB" in text
    assert f"no sooner than {sender.LEAST_PAUSE} s" in text
    assert f"after {outcomes.FIRST_PAUSE:g} s, then" in text
    assert f"up to {outcomes.LONGEST_PAUSE:g} s" in text


BODY = '{"events":[{"data":{"room":"門"}}]}'.encode()


def requests() -> list[tuple[bool, str, dict[str, str], bytes]]:
    """Return requests, good and bad ones: whether it is good, the secret, the headers and the body."""
    now, keys = time.time(), [key_of(SECRET), key_of(PREVIOUS)]
    good = signed(keys, "a-1", now, BODY)
    return [
        (True, SECRET, good, BODY),
        (True, PREVIOUS.removeprefix("whsec_"), good, BODY),
        (False, OTHER, good, BODY),
        (False, SECRET, good, BODY + b" "),
        (False, SECRET, {**good, "webhook-id": "a-2"}, BODY),
        (False, SECRET, {**good, "webhook-timestamp": str(int(now) + 1)}, BODY),
        (False, SECRET, {**good, "webhook-signature": "v1,ü v2, v1"}, BODY),
        (False, SECRET, signed(keys, "a-1", now - 400, BODY), BODY),
        (False, SECRET, {}, BODY),
    ]


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
def test_the_python_takes_good_requests_alone() -> None:
    (block,) = PAGE.blocks("python")
    names: dict[str, Any] = {}
    exec(block.code, names)  # noqa: S102 - as its reader does
    for good, secret, headers, body in requests():
        assert names["is_genuine"](secret, headers, body) is good, headers


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
@pytest.mark.node
async def test_the_javascript_takes_good_requests_alone() -> None:
    (block,) = PAGE.blocks("js")
    given = json.dumps([[secret, headers, body.decode()] for _, secret, headers, body in requests()])
    asking = f"""
for (const [secret, headers, body] of {given}) console.log(isGenuine(secret, headers, Buffer.from(body)));
"""
    async with running(["node", "--input-type=module", "-e", block.code + asking]) as program:
        assert await program.wait() == 0, program.output
        assert program.output.split() == [str(good).lower() for good, *_ in requests()]
