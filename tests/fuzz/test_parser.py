"""Whatever comes is read, or refused by an error that is declared; and ways that read the same thing agree."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from fuzz.frames import Generator
from fuzz.readings import Readings, check_codecs
from fuzz.seeds import SEED, for_as_long, numbers, shrunk
from walkie_signal.settings import Settings
from walkie_signal.wire import event_packets, json, relays

Tell = Callable[[str], None]

INPUTS = 100_000
ONCE_FAILED = [
    b'420["\\ud800"]',
    b'42 ["leave_room"]',
    b'42/other,12\n["signal"]',
    b'42/other?a=1,["echo"]',
    b'42["echo",' + b"[" * 1020 + b"]" * 1020 + b"]",
    b'42["signal",{"targetId":"a","signal":' + b"[" * 1000 + b"]" * 1000 + b',"signal":1}]',
    b'42["echo",{"a":"\\ud800","":' + b"[" * 300 + b"]" * 300 + b"}]",
]
"""Inputs that failed once: what a failure prints goes here."""

SERVERS = (
    Settings(),
    Settings(event_bytes=1024, nesting_depth=6, room_name_length=64, role_length=8, user_id_length=8),
)
"""As it is shipped, and with limits that short inputs reach."""

OUTCOMES = (
    "violation", "packet", "event", "no payload", "unknown_event", "invalid_payload", "SignalTo", "relayed",
    "LeaveRoom", "JoinRoom", "attachments",
)  # fmt: skip
"""What each hundredth input has to come to, or the generator tests nothing any more."""


def fault_of(readings: Readings, body: bytes) -> str | None:
    """Tell what is wrong with how an input is read."""
    try:
        readings.read(body)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one too many
        return f"{type(error).__name__}: {error}"
    return None


def check(readings: Readings, body: bytes) -> None:
    """Fail where an input is read wrongly, with the least of it that is."""
    fault = fault_of(readings, body)
    if fault is not None:
        kind = fault.partition(":")[0]
        least = shrunk(body, lambda shorter: (fault_of(readings, shorter) or "").startswith(kind))
        pytest.fail(
            f"{fault_of(readings, least)}\nFUZZ_SEED={SEED}; for ONCE_FAILED:\n    {least!r},", pytrace=False
        )


def generated(count: Iterable[int], seed: str = SEED) -> list[Readings]:
    """Read so many generated inputs; returns the ways they were read in."""
    generator = Generator(f"{seed} parser", limit=1024)
    ways = [Readings(settings) for settings in SERVERS]
    for number in count:
        check(ways[number % len(ways)], generator.body())
    return ways


@pytest.mark.promise(
    "Bad input", "Any input leads to typed errors only, and the quick way and the ordinary way agree"
)
@for_as_long
def test_only_typed_errors_come_out_and_both_ways_agree(tell: Tell) -> None:
    start = time.monotonic()
    ways = generated(numbers(INPUTS))
    seen = sum((each.seen for each in ways), Counter[str]())
    tell(f"{time.monotonic() - start:.0f} s; {dict(seen)}")
    assert {name: seen[name] for name in OUTCOMES if seen[name] < INPUTS / 100} == {}


@pytest.mark.parametrize("settings", SERVERS)
def test_inputs_that_once_failed(settings: Settings) -> None:
    for body in ONCE_FAILED:
        check(Readings(settings), body)


@pytest.mark.promise(
    "Bad input", "Any input leads to typed errors only, and the quick way and the ordinary way agree"
)
def test_both_json_parsers_read_the_same() -> None:
    assert vars(json)["orjson"] is not None, "the extra `fast` is part of the tests"
    generator = Generator(f"{SEED} json")
    for number in range(20_000):
        generator.grow_odd()
        text = generator.value()
        if number % 3 == 0:
            text = generator.mutated(text.encode()).decode("utf-8", "replace")
        check_codecs(text)


def raising(error: Exception) -> Callable[..., None]:
    def fault(*_: object) -> None:
        raise error

    return fault


@pytest.mark.parametrize(
    ("module", "name", "fault"),
    [
        (relays, "strict_reader", lambda: lambda _text: None),
        (event_packets, "fault_of", raising(RecursionError("too deep"))),
        (event_packets, "checked_name", lambda data: data[0]),
        (json, "_loads", raising(KeyError("room"))),
    ],
)
def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch, module: object, name: str, fault: object) -> None:
    """Each of these faults, put into the code, fails within a few thousand inputs, with one to be pasted."""
    monkeypatch.setattr(module, name, fault)
    with pytest.raises(pytest.fail.Exception, match=r"for ONCE_FAILED:\n    b['\"]"):
        generated(range(5_000), "a fault")
