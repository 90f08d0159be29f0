"""Tokens at the command: from where it takes keys, whom it lets in, and that no secret is shown."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from auth.issuer import ED, PREVIOUS, SECRET, pem, token
from support.process_table import table
from support.processes import SCRIPTS, running
from support.servers import free_port, serve
from support.stock import peers, refusal
from walkie_signal.cli.secrets import moved
from walkie_signal.settings import ServeOptions

COMMAND: list[str | Path] = [SCRIPTS / "walkie-signal", "serve"]
pytestmark = pytest.mark.promise(
    "The command", "Tokens by a secret, a public key or a URL; a secret is never shown, by `ps` neither"
)


@pytest.mark.parametrize("how", ["environment", "file", "option", "public key"])
async def test_who_has_a_token_is_let_in_and_nobody_else(how: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(pem(ED) if how == "public key" else f"{SECRET}\n")
    options = {
        "environment": [],
        "file": [f"--jwt-secret-file={kept}"],
        "option": ["--jwt-secret", SECRET, "--jwt-previous-secret", PREVIOUS],
        "public key": ["--jwt-public-key", str(kept)],
    }[how]
    env = {"WALKIE_SIGNAL_JWT_SECRET": SECRET} if how == "environment" else None
    shown = token(ED, "EdDSA") if how == "public key" else token()
    async with serve(*options, env=env) as server:
        async with peers(server.url, "gate", auth={"token": shown}):
            pass
        assert (await refusal(server.url, auth={}))["data"]["code"] == "unauthorized"
        listed = [each.command for each in table() if each.pid == server.program.pid]
        assert listed
        assert not [line for line in listed if SECRET in line or PREVIOUS in line]
        await server.program.line("connect refused: unauthorized, no token")
        assert SECRET not in server.program.output


async def test_each_worker_verifies() -> None:
    async with serve("--workers", "2", "--jwt-secret", SECRET) as server:
        for _ in range(8):
            assert (await refusal(server.url, auth={"token": "x"}))["data"]["code"] == "unauthorized"
        assert SECRET not in " ".join(each.command for each in table())


async def test_the_password_of_a_url_is_not_shown_either() -> None:
    url = "redis://walkie:a-password-of-its-own@127.0.0.1:1/0"
    async with serve("--redis-url", url) as server:
        assert "a-password-of-its-own" not in " ".join(each.command for each in table())
        assert "a-password-of-its-own" not in server.program.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--jwt-secret", "short-of-it"], "--jwt-secret: the secret has 11 bytes: HS256 needs 32"),
        (["--jwt-secret", SECRET, "--jwt-jwks-url", "https://x"], "exactly one of secret, public_key, jwks"),
        (
            ["--jwt-secret", SECRET, "--jwt-secret-file", "/x"],
            "give --jwt-secret or --jwt-secret-file, not both",
        ),
        (["--jwt-previous-secret", SECRET], "JWTAuth needs exactly one of"),
        (["--jwt-secret", SECRET, "--jwt-algorithm", "RS256"], "none of RS256 is an algorithm for a secret"),
        (["--jwt-secret-file", "/nowhere"], "--jwt-secret-file: /nowhere: No such file"),
        (["--jwt-public-key", "/dev/null"], "--jwt-public-key: /dev/null is empty"),
        (["--jwt-public-key", "/etc/hostname"], "--jwt-public-key: the public key can't be read"),
        (["--jwt-audience", "patrol"], "--jwt-audience: without a secret, a public key or a URL of keys"),
        (["--user-connections", "replace"], "--user-connections replace needs tokens"),
        (["--jwt-jwks-url", "ftp://x"], "--jwt-jwks-url: the URL of the keys has to begin with https://"),
    ],
)
@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
async def test_what_can_not_be_verified_with_is_named_without_secrets(options: list[str], told: str) -> None:
    command = [*COMMAND, "--port", str(free_port()), *options]
    async with running(command) as program:
        assert await program.wait() == 2
        assert told in " ".join(program.output.split())
        assert SECRET not in program.output
        assert "short-of-it" not in program.output


SECRET_FIELDS = [each for each in fields(ServeOptions) if each.metadata["secret"]]


async def test_an_empty_secret_does_not_open_the_server_to_everybody() -> None:
    command = [*COMMAND, "--port", str(free_port())]
    async with running(command, env={"WALKIE_SIGNAL_JWT_SECRET": ""}) as program:
        assert await program.wait() == 2
        assert "WALKIE_SIGNAL_JWT_SECRET: without a secret" in program.output


S = "WALKIE_SIGNAL_JWT_SECRET"
R = "WALKIE_SIGNAL_REDIS_URL"


@pytest.mark.parametrize(
    ("given", "left", "variables"),
    [
        (["-m", "x", "serve", "--port", "1"], ["-m", "x", "serve", "--port", "1"], {}),
        (["serve", "--jwt-secret", "s", "--port", "1"], ["serve", "--port", "1"], {S: "s"}),
        (["serve", "--jwt-secret=a=b"], ["serve"], {S: "a=b"}),
        (["--redis-url=redis://h", "--jwt-secret-file", "f"], ["--jwt-secret-file", "f"], {R: "redis://h"}),
        (["serve", "--jwt-secret"], ["serve", "--jwt-secret"], {}),
        (["serve", "--jwt-secret="], ["serve"], {S: ""}),
    ],
)
def test_secret_options_become_variables(
    given: list[str], left: list[str], variables: dict[str, str]
) -> None:
    assert moved(given, SECRET_FIELDS) == (left, variables)
