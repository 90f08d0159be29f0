from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from walkie_signal.settings import Group, ServeOptions, Settings


@pytest.mark.promise("The wire", "Caps and lengths can be set")
def test_the_defaults_are_those_that_the_protocol_promises() -> None:
    settings = Settings()
    promised = (settings.room_capacity, settings.rooms_per_peer, settings.event_bytes, settings.nesting_depth)
    assert promised == (1000, 1, 65_536, 64)
    assert (settings.room_name_length, settings.role_length, settings.user_id_length) == (128, 64, 64)
    assert (settings.ping_interval, settings.ping_timeout, settings.connect_timeout) == (10, 8, 10)
    assert (settings.max_http_buffer_size, settings.status_interval) == (1_000_000, 0.2)
    assert (settings.outbox_bytes, settings.outbox_messages, settings.stall_timeout) == (1 << 20, 1000, 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("room_capacity", 0),
        ("room_capacity", True),
        ("room_capacity", 1.5),
        ("room_capacity", "10"),
        ("status_interval", -0.1),
        ("ping_interval", 0),
        ("ping_timeout", "8"),
        ("callback_threads", 0),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(Settings(), **{name: value})


def test_a_whole_number_of_seconds_will_do() -> None:
    assert Settings(ping_interval=5).ping_interval == 5


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().room_capacity = 2  # type: ignore[misc]


@pytest.mark.parametrize("group", [Settings, ServeOptions])
def test_each_setting_has_a_text_and_no_two_share_a_name(group: type[Group]) -> None:
    for each in fields(group):
        assert each.metadata["text"].endswith("."), each.name
    assert not {each.name for each in fields(Settings)} & {each.name for each in fields(ServeOptions)}


ADVISED = [
    (each.name, each.metadata["form"], example)
    for group in (Settings, ServeOptions)
    for each in fields(group)
    if "form" in each.metadata
    for example in re.findall(
        r"such as ([^\s,]+)|(?<=, )(\S+)(?= or )|(?<= or )(\S+)$", each.metadata["write"]
    )
]


@pytest.mark.parametrize(("name", "form", "example"), ADVISED)
def test_what_an_error_advises_is_accepted(
    name: str, form: Callable[[str], bool], example: tuple[str, ...]
) -> None:
    assert form("".join(example)), f"{name}: {example}"


def test_each_field_with_a_form_advises_something() -> None:
    with_a_form = {
        each.name for group in (Settings, ServeOptions) for each in fields(group) if "form" in each.metadata
    }
    assert with_a_form == {name for name, _, _ in ADVISED}
