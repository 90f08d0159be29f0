from __future__ import annotations

from typing import Any

import pytest

from walkie_signal.wire import json


@pytest.fixture(params=["orjson", "standard library"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers give the same answers: a service must not change when an extra is installed."""
    if request.param == "standard library":
        monkeypatch.setattr(json, "orjson", None)
    else:
        assert vars(json)["orjson"] is not None, "the extra `fast` is part of the tests"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":[1,-2.5,"x",null,true]}', {"a": [1, -2.5, "x", None, True]}),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('{"a":1,"a":2}', {"a": 2}),
        ('"\\ud83d\\ude00"', "😀"),
        ("[" * 500 + "]" * 500, None),
    ],
)
def test_json_is_read(text: str, value: Any) -> None:
    assert value is None or json.loads(text) == value
    json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "[1e999]",
        "-1e999",
        "9" * 400,
        "",
        "{",
        "[1,]",
        "'a'",
        '"\t"',
        "01",
        "nul",
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json.loads(text)


def test_json_that_is_nested_beyond_the_parser_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        json.loads("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("digits", ["18446744073709551616", "-9223372036854775809", "1" * 100])
def test_an_integer_beyond_64_bits_becomes_a_float(digits: str) -> None:
    value = json.loads(digits)
    assert isinstance(value, float)
    assert value == float(digits)


def test_a_lone_surrogate_is_read_but_not_written() -> None:
    value = json.loads('["\\ud800"]')
    assert value == ["\ud800"]
    with pytest.raises(ValueError, match=r"."):
        json.dumps(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [None, True, "é"]}, '{"b":1,"a":[null,true,"é"]}'),
        ({7: "seven"}, '{"7":"seven"}'),
        (2**70, str(2**70)),
        (1.5, "1.5"),
    ],
)
def test_json_is_written_compactly_in_the_order_given(value: Any, text: str) -> None:
    assert json.dumps(value) == text


@pytest.mark.parametrize("value", [b"x", {1, 2}, object(), {"a": object()}])
def test_what_has_no_json_form_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        json.dumps(value)
