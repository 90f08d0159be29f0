"""Makes the webhook of a command from its options."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import click

from walkie_signal.cli.files import content_of
from walkie_signal.cli.options import option_name
from walkie_signal.settings.webhook import WebhookOptions

if TYPE_CHECKING:
    from walkie_signal.webhook.sender import Webhook


def webhook_of(options: WebhookOptions) -> Webhook | None:
    """Return the webhook, or ``None`` if the options ask for none.

    Raises:
        click.UsageError: The options don't fit together, or a secret can't be used; no secret is shown.
    """
    if not options.webhook:
        meant = [each for each in fields(WebhookOptions) if getattr(options, each.name) != each.default]
        if meant:
            raise click.UsageError(f"{', '.join(map(option_name, meant))}: there is no --webhook")
        return None
    from walkie_signal.webhook.receiver import Receiver  # noqa: PLC0415 - only here, so that --help is quick
    from walkie_signal.webhook.sender import Webhook  # noqa: PLC0415 - as above

    return Webhook(
        Receiver.of_url(options.webhook),
        _keys_of(options),
        timeout=options.webhook_timeout,
        retry_for=options.webhook_retry_for,
    )


def _keys_of(options: WebhookOptions) -> list[bytes]:
    if options.webhook_secret and options.webhook_secret_file:
        raise click.UsageError("give --webhook-secret or --webhook-secret-file, not both")
    of_file = content_of(options.webhook_secret_file, "--webhook-secret-file").rstrip("\r\n")
    if not (of_file or options.webhook_secret):
        raise click.UsageError(
            "--webhook: give --webhook-secret or --webhook-secret-file too: if nothing were signed, anybody could "
            "tell the receiver anything; `openssl rand -base64 32` makes one"
        )
    secrets = {
        "--webhook-secret-file": of_file,
        "--webhook-secret": options.webhook_secret,
        "--webhook-previous-secret": options.webhook_previous_secret,
    }
    return [_key_of(option, secret) for option, secret in secrets.items() if secret]


def _key_of(option: str, secret: str) -> bytes:
    from walkie_signal.webhook.signing import key_of  # noqa: PLC0415 - as above

    try:
        return key_of(secret)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
