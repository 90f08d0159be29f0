"""The options of ``walkie-signal serve``: each on the command line and in the environment, from one place."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import Field, fields
from importlib import import_module
from typing import Any, cast

import click
import pytest

from support.processes import SCRIPTS
from support.servers import serve
from support.stock import peers, web
from walkie_signal.cli.serve import serve as command
from walkie_signal.settings import ServeOptions, Settings

FIELDS = [*fields(ServeOptions), *fields(Settings)]

OTHER: dict[str, Any] = {
    "host": "::1",
    "path": "/api/socket.io",
    "uds": "/run/signal.sock",
    "cors_origin": ("https://one.example", "https://two.example"),
    "trusted_proxy": ("10.0.0.0/8", "192.0.2.1"),
    "ssl_certfile": "cert.pem",
    "ssl_keyfile": "key.pem",
    "backend": "machine:patrol",
    "redis_url": "redis://127.0.0.1:6379/7",
    "redis_prefix": "patrol",
    "user_connections": "replace",
    "log_level": "debug",
    "log_format": "json",
    "webhook": "https://example.com/walkie",
    "webhook_secret": "s",
    "webhook_previous_secret": "s",
    "webhook_secret_file": "secret",
    "jwt_secret": "s",
    "jwt_previous_secret": "s",
    "jwt_secret_file": "secret",
    "jwt_public_key": "key.pem",
    "jwt_jwks_url": "https://issuer.example/jwks.json",
    "jwt_algorithm": ("RS256", "ES256"),
    "jwt_audience": ("patrol", "desk"),
    "jwt_issuer": "https://issuer.example",
    "jwt_require_exp": False,
    "jwt_user_claim": "uid",
    "jwt_role_claim": "kind",
    "jwt_rooms_claim": "may",
    "jwt_radio_prefix": "https://issuer.example/",
}
"""A value that is not the default; for a number the default plus one."""


def other_value(each: Field[Any]) -> Any:
    return OTHER[each.name] if each.name in OTHER else cast("int", each.default) + 1


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    with command.make_context("serve", list(arguments)) as context:
        return context.params


def option(each: Field[Any]) -> str:
    return "--" + each.name.replace("_", "-")


def arguments_of(each: Field[Any], value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option(each) if value else option(each).replace("--", "--no-", 1)]
    return [
        text for one in (value if isinstance(value, tuple) else (value,)) for text in (option(each), str(one))
    ]


def variable(each: Field[Any]) -> str:
    return f"WALKIE_SIGNAL_{each.name.upper()}"


every_field = pytest.mark.parametrize("each", FIELDS, ids=lambda each: each.name)


def test_no_two_options_have_one_name() -> None:
    names = [each.name for each in FIELDS]
    assert len(set(names)) == len(names)
    assert {parameter.name for parameter in command.params} == {*names}


@pytest.mark.promise("The command", "Each option is read from the command line and from the environment")
@every_field
def test_each_option_is_read_from_the_command_line(each: Field[Any]) -> None:
    value = other_value(each)
    defaults = {one.name: one.default for one in FIELDS}
    assert parsed(arguments_of(each, value)) == {**defaults, each.name: value}


@pytest.mark.promise("The command", "Each option is read from the command line and from the environment")
@every_field
def test_each_option_is_read_from_the_environment(each: Field[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    value = other_value(each)
    assert parsed([])[each.name] == each.default
    for separator in (",", " ", ", "):
        text = separator.join(value) if isinstance(value, tuple) else str(value)
        monkeypatch.setenv(variable(each), text)
        assert parsed([])[each.name] == value
    if not isinstance(value, tuple):
        assert parsed(arguments_of(each, each.default))[each.name] == each.default


@every_field
def test_each_option_is_in_the_help_with_its_variable_and_its_text(each: Field[Any]) -> None:
    with click.Context(command) as context:
        text = " ".join(command.get_help(context).split())
    assert f" {option(each)} " in text
    assert f"env var: {variable(each)}" in text
    assert each.metadata["text"] in text


def test_the_environment_is_read_by_the_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALKIE_SIGNAL_ROOM_CAPACITY", "2")
    monkeypatch.setenv("WALKIE_SIGNAL_SERVE_PORT", "2")
    assert Settings().room_capacity == 1000
    assert parsed([])["port"] == 8000


WRONG = [
    ["--port", "many"],
    ["--port", "-1"],
    ["--port", "65536"],
    ["--log-level", "loud"],
    ["--log-format", "xml"],
    ["--room-capacity", "0"],
    ["--ping-interval", "0"],
    ["--ping-interval", "nan"],
    ["--ping-interval", "inf"],
    ["--event-bytes", "1e3"],
    ["--cors-origin", "*", "--cors-origin", "https://page.example"],
    ["--cors-origin", "page.example"],
    ["--cors-origin", "https://page.example/app"],
    ["--cors-origin", "https://page.*"],
    ["--cors-origin", ""],
    ["--trusted-proxy", "10.0.0.0/99"],
    ["--trusted-proxy", "proxy host"],
    ["--ssl-certfile", "missing.pem"],
    ["--ssl-keyfile", "missing.pem"],
    ["--ssl-certfile", "missing.pem", "--ssl-keyfile", "missing.pem"],
    ["--path", ""],
    ["--path", "/"],
    ["--path", "/a?b"],
    ["--workers", "0"],
    ["--workers", "2", "--backend", "memory"],
    ["--backend", "machine:two words", "--workers", "2"],
    ["--backend", "machina"],
    ["--backend", "machine:folder/patrol"],
    ["--backend", "http://127.0.0.1:6379"],
    ["--backend", "machine:patrol", "--redis-url", "redis://127.0.0.1"],
    ["--redis-url", "http://127.0.0.1:6379"],
    ["--redis-url", "redis://127.0.0.1:port"],
    ["--redis-prefix", "two words"],
    ["--webhook", "example.com/walkie"],
    ["--webhook", "https://example.com/walkie"],
    ["--webhook-timeout", "0"],
    ["--nonsense"],
    ["surplus"],
]


@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_value_is_told_in_one_line_and_ends_with_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module("walkie_signal.cli.serve")  # the package's attribute of that name is the command
    monkeypatch.setattr(module, "bind", lambda _options: pytest.fail("it got as far as binding"))
    with pytest.raises(SystemExit) as ended:
        command.main(arguments, prog_name="walkie-signal serve")
    assert ended.value.code == 2
    usage, hint, blank, *lines = capsys.readouterr().err.splitlines()
    assert usage.startswith("Usage: ")
    assert "--help" in hint
    assert blank == ""
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert arguments[0] in lines[0]


@pytest.mark.parametrize("name", ["PORT", "LOG_LEVEL", "PING_INTERVAL", "CORS_ORIGIN"])
def test_a_wrong_value_in_the_environment_names_its_variable(name: str) -> None:
    """By the real command, whose exit status and output are what an operator sees."""
    wrong = {"CORS_ORIGIN": "*, https://page.example"}.get(name, "wrong")
    ended = subprocess.run(
        [SCRIPTS / "walkie-signal", "serve"],
        env={f"WALKIE_SIGNAL_{name}": wrong, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert f"WALKIE_SIGNAL_{name}" in last or f"--{name.lower().replace('_', '-')}" in last


WRITE = {
    "--backend": ["machina:hunter2", "auto", "memory", "machine:name", "machine:/absolute/folder", "Redis"],
    "--path": ["/a?b", "/socket.io"],
    "--redis-prefix": ["two words", "without spaces and braces"],
    "--redis-url": ["http://user:hunter2@127.0.0.1", "redis://user:password@host:6379/0"],
    "--webhook": ["http://user:hunter2@", "https://example.com/walkie"],
    "--trusted-proxy": ["proxy.example", "127.0.0.1", "10.0.0.0/8", "unix", "*"],
}


@pytest.mark.promise(
    "The command",
    "A mistyped variable is named with the nearest one; the error for a wrong value says what to write",
)
def test_each_setting_with_a_form_says_what_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    formed = {f"--{each.name.replace('_', '-')}" for each in FIELDS if "form" in each.metadata}
    assert formed == {*WRITE}
    for option, (wrong, *would) in WRITE.items():
        with pytest.raises(SystemExit):
            command.main([option, wrong], prog_name="walkie-signal serve")
        last = capsys.readouterr().err.splitlines()[-1]
        for each in would:
            assert each in last
        assert "hunter2" not in last


SERVICE_LINKS = {
    "WALKIE_SIGNAL_SERVICE_HOST": "10.0.0.1",
    "WALKIE_SIGNAL_SERVICE_PORT": "8000",
    "WALKIE_SIGNAL_SERVICE_PORT_HTTP": "8000",
    "WALKIE_SIGNAL_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "WALKIE_SIGNAL_PORT_8000_TCP_ADDR": "10.0.0.1",
    "WALKIE_SIGNAL_REDIS_PORT": "tcp://10.0.0.2:6379",
}
"""What Kubernetes sets in pods beside Services ``walkie-signal`` and ``walkie-signal-redis``."""


@pytest.mark.promise(
    "The command",
    "A mistyped variable is named with the nearest one; the error for a wrong value says what to write",
)
async def test_a_variable_that_no_option_reads_is_named_with_the_nearest() -> None:
    mistyped = {
        "WALKIE_SIGNAL_PROT": "hunter2",
        "WALKIE_SIGNAL_CORS_ORIGINS": "*",
        "WALKIE_SIGNAL_XYZZY": "1",
    }
    read = {"WALKIE_SIGNAL_ROOM_CAPACITY": "5"}
    async with serve(env={**mistyped, **read, **SERVICE_LINKS}) as server:
        lines = [
            line.split("WARNING ")[1] for line in server.program.output.splitlines() if "WARNING" in line
        ]
        assert lines == [
            "WALKIE_SIGNAL_CORS_ORIGINS is not read by any option; did you mean WALKIE_SIGNAL_CORS_ORIGIN?",
            "WALKIE_SIGNAL_PROT is not read by any option; did you mean WALKIE_SIGNAL_PORT?",
            "WALKIE_SIGNAL_XYZZY is not read by any option; walkie-signal serve --help lists those that are",
        ]


LIMITS = {
    "PING_INTERVAL": "7.5",
    "PING_TIMEOUT": "3",
    "MAX_HTTP_BUFFER_SIZE": "70000",
    "ROOM_CAPACITY": "2",
    "ROOMS_PER_PEER": "2",
    "ROOM_NAME_LENGTH": "5",
    "ROLE_LENGTH": "0",
    "USER_ID_LENGTH": "2",
    "EVENT_BYTES": "1024",
    "NESTING_DEPTH": "6",
    "PATH": "signals/",
}


@pytest.mark.promise("The wire", "Caps and lengths can be set")
async def test_the_settings_reach_the_server() -> None:
    env = {f"WALKIE_SIGNAL_{name}": value for name, value in LIMITS.items()}
    async with (
        serve("--ping-timeout", "4", env=env) as server,
        web(server.url) as http,
    ):
        opened = await http.get("/signals/?EIO=4&transport=polling")
        told = json.loads(opened.text[1:])
        assert (told["pingInterval"], told["pingTimeout"], told["maxPayload"]) == (7500, 4000, 70000)
        async with peers(server.url, "gate", "gate", None, path="signals") as (one, two, three):
            for code, payload in (
                ("room_full", {"room": "gate"}),
                ("invalid_payload", {"room": "sixsix"}),
                ("invalid_payload", {"room": "yard", "role": "r"}),
                ("invalid_payload", {"room": "yard", "userId": "abc"}),
            ):
                assert (await three.ask("join_room", payload))["error"]["code"] == code
            await one.join("yard")
            assert (await one.ask("join_room", {"room": "third"}))["error"]["code"] == "too_many_rooms"
            assert (await one.signal(two, "x" * 2000))["error"]["code"] == "payload_too_large"
            assert (await one.signal(two, [[[[[[[]]]]]]]))["error"]["code"] == "invalid_payload"
            assert await one.signal(two, "x") == {"ok": True}
