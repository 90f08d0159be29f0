"""``walkie-signal token``: makes a token for trying things out, and reads one."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import click

from walkie_signal.cli.files import content_of
from walkie_signal.cli.options import group_of, options_of
from walkie_signal.cli.secrets import hide_secrets
from walkie_signal.cli.times import moment, seconds_of
from walkie_signal.cli.verifiers import extra_is_missing, secret_of, verifier_if_any
from walkie_signal.core.identity import Credentials
from walkie_signal.errors import CredentialRefused, SignalingError
from walkie_signal.host import Host
from walkie_signal.settings import Settings
from walkie_signal.settings.auth import AuthOptions
from walkie_signal.settings.rooms import NameSettings

SECRETS = [each for each in fields(AuthOptions) if each.metadata["secret"]]

SIGNING = (
    *("jwt_secret", "jwt_secret_file", "jwt_algorithm", "jwt_audience", "jwt_issuer"),
    *("jwt_user_claim", "jwt_role_claim", "jwt_rooms_claim"),
)
"""The options of ``serve`` that say what a token has to be like for it."""

TIMES = ("iat", "nbf", "exp")
"""The claims that are times (RFC 7519, 4.1)."""

LET_IN, REFUSED, NOT_VERIFIED = 0, 1, 3
"""Exit statuses of ``token read``; 2 is click's for a wrong option."""


@click.group()
def token() -> None:
    """Make a token for trying things out, or read one."""


def _span_of(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _claims_of(_context: click.Context, _parameter: click.Parameter, pairs: Sequence[str]) -> dict[str, Any]:
    """Read claims such as ``priority=7``; a value that is not JSON is a text."""
    claims: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        try:
            claims[name] = json.loads(text)
        except (ValueError, RecursionError):
            claims[name] = text
    return claims


@token.command()
@click.option("--user", help="User's id, a string; for an integer, give --claim sub=7 in its place.")
@click.option("--role", help="Role.")
@click.option("--room", "rooms", multiple=True, help="Room that may be joined, or a beginning with * behind; "
    "without it, any room. May be given several times.")  # fmt: skip
@click.option(
    "--expires",
    default="1h",  # enough for an afternoon's tries; one left behind in a shell's history is soon worth nothing
    show_default=True,
    callback=_span_of,
    help="How long it is good, such as 90s, 30m, 1h or 7d.",
)
@click.option("--claim", "further", multiple=True, metavar="NAME=VALUE", callback=_claims_of,
    help="Any further claim, such as priority=7 or speak=false: JSON, or else a text. May be given several "
    "times.")  # fmt: skip
@click.option(
    "--jwt-private-key",
    metavar="FILE",
    default="",
    help="File with a private key to sign with, in PEM format.",
)
@options_of(AuthOptions, only=SIGNING)
def make(
    *,
    user: str | None,
    role: str | None,
    rooms: Sequence[str],
    expires: int,
    further: Mapping[str, Any],
    jwt_private_key: str,
    **values: Any,
) -> None:
    """Make a token, and print it.

    With the options of a server, or its environment, it is one that this server lets in. It is signed with the
    secret, or with the private key that belongs to the server's public one. Of several algorithms or audiences the
    first counts.
    """
    hide_secrets(SECRETS)
    options: AuthOptions = group_of(AuthOptions, values)
    now = int(time.time())
    said = {
        options.jwt_user_claim: user,
        options.jwt_role_claim: role,
        options.jwt_rooms_claim: [*rooms] or None,
        "iss": options.jwt_issuer or None,
        "aud": next(iter(options.jwt_audience), None),
        "iat": now,
        "exp": now + expires,
        **further,
    }
    claims = {name: value for name, value in said.items() if value is not None}
    if claims.get(options.jwt_user_claim, "") == "":
        raise click.UsageError("give --user: a token has to say whose it is")
    click.echo(_signed(claims, jwt_private_key, options))


def _signed(claims: Mapping[str, Any], private_key: str, options: AuthOptions) -> str:
    secret = secret_of(options)
    if bool(secret) == bool(private_key):
        raise click.UsageError(
            "give one thing to sign with: --jwt-secret-file, WALKIE_SIGNAL_JWT_SECRET or --jwt-private-key"
        )
    try:
        from walkie_signal.auth.signing import key_of_private_pem, key_of_secret, signed  # noqa: PLC0415 - an extra
    except ImportError:
        raise extra_is_missing() from None
    option = "--jwt-private-key" if private_key else "--jwt-secret"
    algorithms = options.jwt_algorithm or None
    try:
        if private_key:
            return signed(claims, key_of_private_pem(content_of(private_key, option), algorithms))
        return signed(claims, key_of_secret(secret, algorithms))
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
    except TypeError as error:  # PyJWT's, of a claim that the RFC knows
        raise click.UsageError(f"--claim: {error}") from None


@token.command()
@click.argument("shown", metavar="[TOKEN]", default="-")
@options_of(AuthOptions, NameSettings)
def read(shown: str, **values: Any) -> None:
    """Print what a token says, and whether `serve` with the same options would let it in.

    Without TOKEN, or with -, the token comes from standard input. On the command line every user of the machine
    sees it (ps), and whoever has it is let in with it.

    The exit status is 0 if `serve` lets it in, 1 if it refuses it, and 3 if that can't be told: without a secret, a
    public key or a URL of keys nothing is verified.
    """
    hide_secrets(SECRETS)
    if shown == "-":
        shown = sys.stdin.buffer.read().decode("utf-8", "replace")
    shown = shown.strip()
    verdict, status = asyncio.run(_verdict(shown, values))
    click.echo(json.dumps({**_content_of(shown), "verdict": verdict}, indent=2))
    sys.exit(status)


def _content_of(shown: str) -> dict[str, Any]:
    """Return the header, the claims and the times of a token; nothing if they can't be read."""
    try:
        from walkie_signal.auth.tokens import read_parts  # noqa: PLC0415 - an extra
    except ImportError:
        raise extra_is_missing() from None
    try:
        header, claims = read_parts(shown)
    except CredentialRefused:
        return {}
    now = time.time()
    times = {name: text for name in TIMES if (text := moment(claims.get(name), now)) is not None}
    return {"header": header, "claims": claims, "times": times}


async def _verdict(shown: str, values: dict[str, Any]) -> tuple[str, int]:
    """Return what a server with these options says of a token, in its log's words, and the exit status."""
    verifier = verifier_if_any(group_of(AuthOptions, values))
    if verifier is None:
        return "not verified: there is no secret, no public key and no URL of keys", NOT_VERIFIED
    try:
        await Host(group_of(Settings, values), authenticate=verifier).authenticate(lambda: Credentials(shown))
    except CredentialRefused as refused:
        return f"refused: {refused.why}", REFUSED
    except SignalingError as unavailable:
        return f"not verified: {unavailable.message}", NOT_VERIFIED
    return "let in", LET_IN
