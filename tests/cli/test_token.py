"""``walkie-signal token``: what it makes is let in by ``serve``, and what it reads is judged as there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from auth.attacks import ATTACKS, AUDIENCE
from auth.issuer import EC, ED, PREVIOUS, RSA, SECRET, pem, token
from docs.pages import PAGES
from support.process_table import table
from support.processes import SCRIPTS
from support.servers import free_port, serve
from support.stock import peers
from support.waiting import eventually, in_time

COMMAND = [str(SCRIPTS / "walkie-signal"), "token"]
BY_SECRET = {"WALKIE_SIGNAL_JWT_SECRET": SECRET}


def run(
    *arguments: str, env: dict[str, str] | None = None, shown: str | bytes = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing but `env` in its environment, and `shown` as its standard input."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        env={"PATH": "", **(env or {})},
        input=shown.encode() if isinstance(shown, str) else shown,
        capture_output=True,
        check=False,
        timeout=30,
    )
    out, err = ended.stdout.decode(), ended.stderr.decode()
    assert "Traceback" not in err, err
    assert not [each for each in (SECRET, PREVIOUS) if each in out + err]
    return subprocess.CompletedProcess(ended.args, ended.returncode, out, err)


def made(*arguments: str, env: dict[str, str] | None = None) -> str:
    ended = run("make", *arguments, env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", ended.stdout), "nothing but a token"
    return ended.stdout.strip()


def judged(shown: str | bytes, *options: str, env: dict[str, str] | None = None) -> tuple[Any, int]:
    ended = run("read", *options, env=env, shown=shown)
    return json.loads(ended.stdout), ended.returncode


def private_pem(private: Any, passphrase: str = "") -> str:
    cipher = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    text: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher)
    return text.decode()


PAIRS = {"RS256": RSA, "ES256": EC, "EdDSA": ED}


@pytest.mark.promise(
    "The command",
    "A token that `token make` makes is let in by `serve` with the same options, as its claims say",
)
@pytest.mark.parametrize("how", ["environment", "file", "option", *PAIRS])
async def test_a_made_token_lets_a_client_into_a_server(how: str, tmp_path: Path) -> None:
    private, public, kept = tmp_path / "private", tmp_path / "public", tmp_path / "secret"
    private.write_text(private_pem(PAIRS.get(how, RSA)))
    public.write_text(pem(PAIRS.get(how, RSA)))
    kept.write_text(f"{SECRET}\n")
    to_sign, to_verify, env = {
        "environment": ([], [], BY_SECRET),
        "file": (["--jwt-secret-file", str(kept)], ["--jwt-secret-file", str(kept)], {}),
        "option": (["--jwt-secret", SECRET], ["--jwt-secret", SECRET], {}),
    }.get(how, (["--jwt-private-key", str(private)], ["--jwt-public-key", str(public)], {}))
    both = ["--jwt-audience", "patrol", "--jwt-issuer", "the desk", "--jwt-role-claim", "kind"]
    who = ["--role", "guard", "--room", "gate", "--room", "site-7/*", "--claim", "sub=7"]
    shown = made(*who, *to_sign, *both, env=env)
    async with (
        serve(*to_verify, *both, env=env) as server,
        peers(server.url, "gate", auth={"token": shown}) as (peer,),
    ):
        status = await peer.hears("room_status")
        assert status["members"] == [{"userId": 7, "role": "guard", "peerId": peer.peer_id}]
        assert (await peer.ask("join_room", {"room": "yard"}))["error"]["code"] == "forbidden"
        assert (await peer.ask("join_room", {"room": "site-7/yard"}))["ok"]


def test_what_it_makes_is_what_it_reads() -> None:
    made_of = ["--user", "alice", "--expires", "30m", "--claim", "speak=false", "--claim", "site=north=1"]
    read, status = judged(made(*made_of, env=BY_SECRET), env=BY_SECRET)
    assert status == 0
    began = read["claims"]["iat"]
    assert read["header"] == {"alg": "HS256", "typ": "JWT"}
    assert read["claims"] == {
        "sub": "alice", "iat": began, "exp": began + 1800, "speak": False, "site": "north=1",
    }  # fmt: skip
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, \d+ seconds ago", read["times"]["iat"])
    assert re.fullmatch(r"20.+ UTC, in (29|30) minutes", read["times"]["exp"])
    assert read["verdict"] == "let in"


STRONG = [
    *("64 kB", "none", "hs256", "another secret", "a sibling of the algorithm", "expired", "of tomorrow"),
    *("no subject", "a list of other audiences", "a subject twice", "an empty text", "not ASCII"),
]


@pytest.mark.promise(
    "The command", "`token read` says what `serve` with the same options would do with a token, and why"
)
@pytest.mark.parametrize("name", STRONG)
def test_it_refuses_what_a_server_refuses(name: str) -> None:
    attack = ATTACKS[name]
    read, status = judged(attack.shown, "--jwt-audience", AUDIENCE, env=BY_SECRET)
    assert (read["verdict"], status) == (f"refused: {attack.why}", 1)


@pytest.mark.promise(
    "The command", "`token read` says what `serve` with the same options would do with a token, and why"
)
@pytest.mark.parametrize(
    ("options", "env", "verdict", "status"),
    [
        ([], BY_SECRET, "let in", 0),
        ([], {"WALKIE_SIGNAL_JWT_SECRET": PREVIOUS}, "refused: no key that is known has signed the token", 1),
        (
            ["--jwt-previous-secret", SECRET],
            {"WALKIE_SIGNAL_JWT_SECRET": PREVIOUS},
            "let in",
            0,
        ),
        (["--jwt-issuer", "the desk"], BY_SECRET, "refused: the token lacks a claim", 1),
        (["--role-length", "4"], BY_SECRET, "refused: the role is longer than role_length", 1),
        (
            [],
            {**BY_SECRET, "WALKIE_SIGNAL_USER_ID_LENGTH": "3"},
            "refused: the user id is longer than user_id_length",
            1,
        ),
        ([], {}, "not verified: there is no secret, no public key and no URL of keys", 3),
        (
            ["--jwt-audience", "patrol"],
            {},
            "not verified: there is no secret, no public key and no URL of keys",
            3,
        ),
        (
            ["--jwt-jwks-url", f"http://127.0.0.1:{free_port()}/"],
            {},
            "not verified: tokens can't be verified now",
            3,
        ),
    ],
)
def test_its_verdict_is_that_of_a_server_with_these_options(
    options: list[str], env: dict[str, str], verdict: str, status: int
) -> None:
    read, ended = judged(token(role="guard"), *options, env=env)
    assert read["claims"]["sub"] == "guard-7"
    assert (read["verdict"], ended) == (verdict, status)


def test_the_page_shows_what_it_prints() -> None:
    (block,) = PAGES["docs/identity.md"].blocks("json")
    shown = json.loads(block.code)
    read, status = judged(jwt.encode(shown["claims"], SECRET), env=BY_SECRET)
    dates = [
        {name: text.partition(",")[0] for name, text in each.pop("times").items()} for each in (shown, read)
    ]
    assert (read, status) == (shown, 1)
    assert dates[0] == dates[1]


def test_a_token_comes_from_standard_input_or_the_command_line() -> None:
    for ended in (
        run("read", env=BY_SECRET, shown=f" {token()}\r\n"),
        run("read", "-", env=BY_SECRET, shown=token()),
        run("read", token(), env=BY_SECRET, shown="not this one"),
    ):
        assert json.loads(ended.stdout)["verdict"] == "let in"
    told = " ".join(run("read", "--help").stdout.split())
    assert "On the command line every user of the machine sees it (ps)" in told


@pytest.mark.parametrize("shown", [b"\xff\xfe", b"\0", b"x.y.z", b"\x1b[2J.\x1b[2J.x"])
def test_what_is_no_token_is_not_repeated(shown: bytes) -> None:
    assert judged(shown, env=BY_SECRET) == ({"verdict": "refused: the token is malformed"}, 1)


def test_what_a_token_says_does_nothing_to_a_terminal() -> None:
    shown = token(role="\x1b[2J\x9b2J\u202e")
    ended = run("read", shown=shown)
    assert ended.stdout.isascii()
    assert "\x1b" not in ended.stdout
    assert json.loads(ended.stdout)["claims"]["role"] == "\x1b[2J\x9b2J\u202e"


@pytest.mark.promise(
    "The command", "Tokens by a secret, a public key or a URL; a secret is never shown, by `ps` neither"
)
async def test_its_secret_does_not_stay_on_the_command_line() -> None:
    program = await asyncio.create_subprocess_exec(
        *COMMAND, "read", "--jwt-secret", SECRET, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def listed() -> list[str]:
        return [each.command for each in table() if each.pid == program.pid]

    await eventually(listed, lambda lines: bool(lines) and SECRET not in lines[0], "without the secret")
    out, _ = await in_time(program.communicate(token().encode()), lambda: "not ended")
    assert json.loads(out)["verdict"] == "let in"


@pytest.mark.promise(
    "The command",
    "A wrong value ends it with status 2, an address that can't be bound with 1; each with one line",
)
@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        ([], BY_SECRET, "give --user: a token has to say whose it is"),
        (["--user", "u", "--jwt-user-claim", "uid", "--claim", "uid=null"], BY_SECRET, "give --user"),
        (["--user", ""], BY_SECRET, "give --user: a token has to say whose it is"),
        (["--user", "u", "--claim", "iss=7"], BY_SECRET, "--claim: "),
        (["--user", "u"], {}, "give one thing to sign with: --jwt-secret-file, WALKIE_SIGNAL_JWT_SECRET or"),
        (["--user", "u", "--jwt-private-key", "/x"], BY_SECRET, "give one thing to sign with"),
        (["--user", "u", "--jwt-secret", "short-of-it"], {}, "--jwt-secret: the secret has 11 bytes"),
        (["--user", "u", "--jwt-secret", SECRET, "--jwt-secret-file", "/x"], {}, "not both"),
        (["--user", "u", "--jwt-algorithm", "none"], BY_SECRET, "none of none is an algorithm for a secret"),
        (["--user", "u", "--jwt-private-key", "/nowhere"], {}, "--jwt-private-key: /nowhere: No such file"),
        (["--user", "u", "--jwt-private-key", "{public}"], {}, "--jwt-private-key: the private key can't be"),
        (["--user", "u", "--jwt-private-key", "{locked}"], {}, "in PEM format, without a passphrase"),
        (
            ["--user", "u", "--jwt-private-key", "{private}", "--jwt-algorithm", "ES256"],
            {},
            "none of ES256 is an algorithm for this public key",
        ),
        (["--user", "u", "--expires", "1w"], BY_SECRET, "write one such as 90s, 30m, 1h or 7d"),
        (["--user", "u", "--claim", "speak"], BY_SECRET, "'speak' is not NAME=VALUE"),
    ],
)
def test_what_can_not_be_made_is_told_without_secrets(
    arguments: list[str], env: dict[str, str], told: str, tmp_path: Path
) -> None:
    files = {"public": pem(RSA), "private": private_pem(RSA), "locked": private_pem(RSA, "a passphrase")}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ended = run(
        "make", *(each.format(**{name: tmp_path / name for name in files}) for each in arguments), env=env
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert told in " ".join(ended.stderr.split())
    assert "short-of-it" not in ended.stderr
