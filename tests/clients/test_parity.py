"""The same stock peers hear what the legacy server told them, and documented keys beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, get_args

import pytest

from clients.transcripts import differences, undocumented
from support.node import Transports, legacy_server, script
from support.servers import serve

TRANSPORTS = get_args(Transports)


@pytest.mark.promise(
    "The Node server's clients", "They get what the Node server sent them, on polling, WebSocket and upgrade"
)
@pytest.mark.node
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_peers_hear_what_the_legacy_server_told_them(transports: Transports) -> None:
    async with legacy_server() as url:
        legacy = await script("parity.js", url, transports)
    async with serve() as serving:
        ours = await script("parity.js", serving.url, transports)
    assert differences(legacy, ours) == []
    assert undocumented(ours) == []
    assert ours["spaced"] == [], "JSON on the wire is compact"


@pytest.mark.node
async def test_the_script_hears_the_same_each_time() -> None:
    """What differs between two servers is then the servers' doing."""
    heard = []
    for transports in TRANSPORTS:
        async with legacy_server() as url:
            heard.append(await script("parity.js", url, transports))
        assert heard[-1].pop("transports") == ["polling" if transports == "polling" else "websocket"]
    assert heard[0] == heard[1] == heard[2]
    events = {event[0] for step in heard[0]["steps"] for events in step["heard"].values() for event in events}
    assert events == {"new_peer", "signal", "peer_disconnected", "room_status"}


# The comparison itself, on transcripts that were doctored

ROSTER = {"members": [{"userId": "u-1"}, {"userId": 7, "role": "guard"}]}
LEGACY = {
    "steps": [
        {
            "step": "join",
            "heard": {
                "ann": [
                    ["new_peer", {"peerId": "bob.1", "role": "guard", "userId": 7}],
                    ["room_status", ROSTER],
                ],
                "bob": [["new_peer", {"peerId": "ann.1", "userId": "u-1"}], ["room_status", ROSTER]],
            },
        },
        {
            "step": "call",
            "heard": {
                "ann": [],
                "bob": [
                    ["signal", {"fromId": "ann.1", "signal": {"n": 1}}],
                    ["signal", {"fromId": "ann.1", "signal": {"n": 2}}],
                ],
            },
        },
        {
            "step": "leave",
            "heard": {
                "ann": [
                    ["peer_disconnected", {"peerId": "bob.1"}],
                    ["room_status", {"members": [{"userId": "u-1"}]}],
                ],
                "bob": [],
            },
        },
    ]
}


def as_documented(transcript: dict[str, Any]) -> dict[str, Any]:
    """Add what this server says beside the legacy keys."""
    ours: dict[str, Any] = json.loads(json.dumps(transcript))  # a copy in which no part stands twice
    for step in ours["steps"]:
        for name, payload in (event for heard in step["heard"].values() for event in heard):
            if name == "room_status":
                for member, peer in zip(payload["members"], ("ann.1", "bob.1"), strict=False):
                    member["peerId"] = peer
            if name != "signal":
                payload["room"] = "gate"
            if name == "new_peer":
                payload["polite"] = payload["peerId"] == "ann.1"
            if name == "peer_disconnected":
                payload["reason"] = "left"
    error = {"event": "signal", "code": "peer_not_found", "message": "no such peer"}
    ours["steps"][1]["heard"]["ann"].append(["signal_error", error])
    return ours


OURS = as_documented(LEGACY)

Heard = Callable[[int, str], list[Any]]


def doctored(change: Callable[[Heard], object]) -> dict[str, Any]:
    """Return a copy of OURS that `change` was at; it gets at what a peer heard by step and name."""
    copy: dict[str, Any] = deepcopy(OURS)
    change(lambda step, peer: copy["steps"][step]["heard"][peer])
    return copy


def test_additive_keys_and_events_are_no_difference() -> None:
    assert differences(LEGACY, OURS) == []
    assert undocumented(OURS) == []


def test_rosters_that_were_overtaken_are_no_difference() -> None:
    overtaken = ["room_status", {"members": [{"peerId": "ann.1"}], "room": "gate"}]
    copy = doctored(lambda heard: heard(0, "ann").insert(0, overtaken))
    assert differences(LEGACY, copy) == []
    assert undocumented(copy) == []


CHANGES: dict[str, Callable[[Heard], object]] = {
    "an event is missing": lambda heard: heard(1, "bob").pop(),
    "the roster is missing": lambda heard: heard(0, "bob").pop(),
    "two signals changed places": lambda heard: heard(1, "bob").reverse(),
    "a signal came twice": lambda heard: heard(1, "bob").append(heard(1, "bob")[0]),
    "another peer heard it too": lambda heard: heard(1, "ann").append(heard(1, "bob")[0]),
    "one who was gone heard it": lambda heard: heard(2, "bob").append(heard(2, "ann")[0]),
    "a key is missing": lambda heard: heard(0, "ann")[0][1].pop("role"),
    "a value differs": lambda heard: heard(0, "ann")[0][1].update(role="lead"),
    "a number became a string": lambda heard: heard(0, "ann")[0][1].update(userId="7"),
    "an integer became a float": lambda heard: heard(0, "ann")[0][1].update(userId=7.0),
    "a signal was added to": lambda heard: heard(1, "bob")[0][1]["signal"].update(m=2),
    "an event has a second argument": lambda heard: heard(1, "bob")[0].append(None),
    "the roster's order differs": lambda heard: heard(0, "ann")[1][1]["members"].reverse(),
    "the roster is short": lambda heard: heard(0, "ann")[1][1]["members"].pop(),
    "the roster is long": lambda heard: heard(0, "ann")[1][1]["members"].append({}),
    "a member lost a key": lambda heard: heard(0, "ann")[1][1]["members"][1].pop("role"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_difference_is_found(what: str) -> None:
    assert differences(LEGACY, doctored(CHANGES[what])) != []


def test_steps_that_differ_are_found() -> None:
    assert differences(LEGACY, {"steps": OURS["steps"][:2]}) == ["the steps are not the same"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda heard: heard(0, "ann")[0][1].update(seq=1), "undocumented keys ['seq']"),
        (lambda heard: heard(0, "ann")[0][1].pop("polite"), "no key ['polite']"),
        (lambda heard: heard(2, "ann")[0][1].pop("reason"), "no key ['reason']"),
        (
            lambda heard: heard(2, "ann")[0][1].update(room=heard(2, "ann")[0][1].pop("room")),
            "keys in the order ['peerId', 'reason', 'room'], not ['peerId', 'room', 'reason']",
        ),
        (lambda heard: heard(0, "ann")[1][1]["members"][0].pop("peerId"), "no key ['peerId']"),
        (lambda heard: heard(0, "ann")[1][1]["members"][0].update(away=True), "undocumented keys ['away']"),
        (lambda heard: heard(2, "bob").append(["peer_left", {}]), "undocumented event"),
        (lambda heard: heard(1, "bob")[1].append(1), "2 arguments"),
        (lambda heard: heard(1, "bob")[1].__setitem__(1, "text"), "'text' is no object"),
    ],
)
def test_what_is_not_documented_is_found(change: Callable[[Heard], object], fault: str) -> None:
    (found,) = undocumented(doctored(change))
    assert found.endswith(f": {fault}")
