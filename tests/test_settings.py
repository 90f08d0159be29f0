from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import click
import pytest

from walkie_signal.cli.options import options_of
from walkie_signal.settings import ServeOptions, Settings
from walkie_signal.settings.declaration import Group, setting
from walkie_signal.settings.host import HostSettings
from walkie_signal.settings.identity import IdentitySettings
from walkie_signal.settings.limits import LimitSettings
from walkie_signal.settings.pacing import PaceSettings
from walkie_signal.settings.rooms import NameSettings, RoomSettings
from walkie_signal.settings.store import StoreSettings
from walkie_signal.settings.transport import TransportSettings


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


@pytest.mark.parametrize("group", [Settings, ServeOptions])
def test_each_default_has_its_reason(group: type[Group]) -> None:
    for each in fields(group):
        assert each.metadata["reason"].endswith("."), each.name


def test_the_settings_come_group_by_group_those_of_rooms_first() -> None:
    groups = (
        *(RoomSettings, NameSettings, LimitSettings, IdentitySettings),
        *(PaceSettings, HostSettings, TransportSettings, StoreSettings),
    )
    assert [each.name for each in fields(Settings)] == [
        each.name for group in groups for each in fields(group)
    ]


def test_a_secret_is_never_shown() -> None:
    assert "hunter2" not in repr(ServeOptions(redis_url="redis://user:hunter2@host"))
    with pytest.raises(ValueError, match="redis_url: the value is not valid, and not shown") as refused:
        ServeOptions(redis_url="http://user:hunter2@host")
    assert "hunter2" not in str(refused.value)


@dataclass(frozen=True, kw_only=True)
class Switches(Group):
    demo: bool = setting(default=False, text="Whether there is a demo.", reason="Few want one.")


def test_a_switch_is_true_or_false_and_nothing_that_counts_as_one() -> None:
    assert Switches(demo=True).demo
    with pytest.raises(ValueError, match="demo: 1 is not true or false"):
        Switches(demo=1)  # type: ignore[arg-type]


def test_a_switch_is_two_options_and_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @options_of(Switches)
    def command(**_: bool) -> None: ...

    def parsed(*arguments: str) -> bool:
        with command.make_context("command", [*arguments]) as context:
            return bool(context.params["demo"])

    assert [parsed(), parsed("--demo"), parsed("--no-demo")] == [False, True, False]
    monkeypatch.setenv("WALKIE_SIGNAL_DEMO", "true")
    assert [parsed(), parsed("--no-demo")] == [True, False]


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
