"""Makes what verifies the tokens of a command's peers, from its options."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from walkie_signal.cli.files import content_of
from walkie_signal.cli.options import option_name, variable_name
from walkie_signal.settings.auth import AuthOptions

if TYPE_CHECKING:
    from walkie_signal.auth.jwt import JWTAuth

OPTIONS = {
    "secret": "--jwt-secret",
    "public_key": "--jwt-public-key",
    "jwks_url": "--jwt-jwks-url",
    "previous_secret": "--jwt-previous-secret",
}


def verifier_of(options: AuthOptions) -> JWTAuth | None:
    """Return what verifies tokens, or ``None`` if the options ask for none.

    Raises:
        click.UsageError: As for `verifier_if_any`; or there is no key, though somebody has meant to ask for tokens.
        click.ClickException: As for `verifier_if_any`.
    """
    verifier = verifier_if_any(options)
    if verifier is None:
        _check_that_none_is_meant(options)
    return verifier


def verifier_if_any(options: AuthOptions) -> JWTAuth | None:
    """Return what verifies tokens, or ``None`` without a secret, a public key and a URL of keys.

    Raises:
        click.UsageError: The options don't fit together, or a key can't be used; no secret is shown.
        click.ClickException: The extra ``jwt`` is not installed.
    """
    given = _keys_of(options)
    if not given:
        return None
    try:
        from walkie_signal.auth.jwt import JWTAuth  # noqa: PLC0415 - an extra
    except ImportError:
        raise extra_is_missing() from None
    try:
        return JWTAuth(
            **given,
            algorithms=options.jwt_algorithm or None,
            audience=options.jwt_audience or None,
            issuer=options.jwt_issuer or None,
            leeway=options.jwt_leeway,
            require_exp=options.jwt_require_exp,
            user_claim=options.jwt_user_claim,
            role_claim=options.jwt_role_claim,
            rooms_claim=options.jwt_rooms_claim,
            radio_prefix=options.jwt_radio_prefix,
        )
    except ValueError as error:
        names = ", ".join(OPTIONS[name] for name in given)
        raise click.UsageError(f"{names}: {error}") from None


def extra_is_missing() -> click.ClickException:
    """Return the error of a command that needs the extra ``jwt``."""
    return click.ClickException("tokens need a package: pip install 'walkie-signal[jwt]'")


def secret_of(options: AuthOptions) -> str:
    """Return the secret, wherever it is; empty if there is none.

    Raises:
        click.UsageError: There are two, or the file can't be read.
    """
    if options.jwt_secret and options.jwt_secret_file:
        raise click.UsageError("give --jwt-secret or --jwt-secret-file, not both")
    return options.jwt_secret or content_of(options.jwt_secret_file, "--jwt-secret-file").rstrip("\r\n")


def _check_that_none_is_meant(options: AuthOptions) -> None:
    """Refuse to be open to everybody if somebody has meant to ask for tokens; a secret may be empty by mistake."""
    meant = [each for each in fields(AuthOptions) if getattr(options, each.name) != each.default]
    empty = [name for each in fields(AuthOptions) if (name := variable_name(each)) in os.environ]
    if meant or empty:
        names = ", ".join([*map(option_name, meant), *empty])
        raise click.UsageError(
            f"{names}: without a secret, a public key or a URL of keys, everybody would be let in"
        )


def _keys_of(options: AuthOptions) -> dict[str, Any]:
    keys = {
        "secret": secret_of(options),
        "previous_secret": options.jwt_previous_secret,
        "public_key": content_of(options.jwt_public_key, "--jwt-public-key"),
        "jwks_url": options.jwt_jwks_url,
    }
    return {name: value for name, value in keys.items() if value}
