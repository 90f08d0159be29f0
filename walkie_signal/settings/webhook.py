"""Whom the command ``walkie-signal serve`` tells what happens."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting
from walkie_signal.settings.forms import is_web_url


@dataclass(frozen=True, kw_only=True)
class WebhookOptions(Group):
    """The webhook; without a URL nobody is told."""

    webhook: str = setting(
        "",
        "URL that hears of joins, leaves and refusals, by POSTs of signed JSON; it needs a secret.",
        form=is_web_url,
        write="a URL such as https://example.com/walkie",
        secret=True,
        reason="Only the operator knows who wants to hear of them.",
    )
    webhook_secret: str = setting(
        "",
        "Secret that the requests of the webhook are signed with: 24 to 64 bytes in base64, with or without whsec_ "
        "before them; better in the environment or in a file.",
        secret=True,
        reason="Without one, anybody could tell the receiver anything.",
    )
    webhook_previous_secret: str = setting(
        "",
        "Another secret that they are signed with too, while the secret is being changed.",
        secret=True,
        reason="Most of the time there is only one.",
    )
    webhook_secret_file: str = setting(
        "",
        "File with the secret of the webhook; a line break at its end does not count.",
        reason="As for the secret; Docker and Kubernetes give secrets as files.",
    )
    webhook_timeout: float = setting(
        10.0,
        "How long one request of the webhook may take.",
        unit="seconds",
        above=0,
        reason="Pusher waits for 4 s; Standard Webhooks recommends 15 to 30 s, but here the next events wait "
        "meanwhile.",
    )
    webhook_retry_for: float = setting(
        300.0,
        "How long a request of the webhook that has failed is tried again before its events are lost.",
        unit="seconds",
        least=0,
        reason="Pusher's. A receiver starts again in less; days, as elsewhere, would need a disk.",
    )
