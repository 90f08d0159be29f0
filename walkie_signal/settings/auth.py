"""Who may speak to the command ``walkie-signal serve``, by tokens that another service has signed."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class AuthOptions(Group):
    """The tokens that are let in; without a secret, a public key or a URL of keys, everybody is."""

    jwt_secret: str = setting(
        "",
        "Secret that tokens are signed with (HS256), 32 bytes at least; better in the environment or in a file.",
        secret=True,
        reason="Whether there are tokens, and who signs them, only the operator knows.",
    )
    jwt_previous_secret: str = setting(
        "",
        "Another secret that is good too, while the secret is being changed.",
        secret=True,
        reason="Most of the time there is only one.",
    )
    jwt_secret_file: str = setting(
        "",
        "File with the secret; a line break at its end does not count.",
        reason="As for the secret; Docker and Kubernetes give secrets as files.",
    )
    jwt_public_key: str = setting(
        "",
        "File with the public key or the certificate of who signs the tokens, in PEM format.",
        reason="As for the secret.",
    )
    jwt_jwks_url: str = setting(
        "",
        "URL of the public keys of who signs the tokens (JWKS), such as https://issuer.example/jwks.json.",
        reason="As for the secret.",
    )
    jwt_algorithm: tuple[str, ...] = setting(
        (),
        "Algorithm that tokens may be signed with, such as RS256; without it, HS256 for a secret, and for a public "
        "key the usual one of its kind.",
        reason="What issuers use unless somebody has chosen another one; a token can't choose.",
    )
    jwt_audience: tuple[str, ...] = setting(
        (),
        "Audience that a token has to be for; without it, a token must name none.",
        reason="Only the issuer knows what it writes.",
    )
    jwt_issuer: str = setting(
        "",
        "Issuer that a token has to be of; without it, any who has the key.",
        reason="Whoever has the key is the issuer, mostly.",
    )
    jwt_leeway: float = setting(
        10.0,
        "How far the clocks of the issuer and of this machine may be apart.",
        unit="seconds",
        least=0,
        reason="Clocks that follow a time server differ by less; many libraries take none, or 60 s.",
    )
    jwt_require_exp: bool = setting(
        True,  # noqa: FBT003 - a default
        "Whether a token has to say when it ends.",
        reason="One that never ends is good for whoever finds it, for ever.",
    )
    jwt_user_claim: str = setting(
        "sub",
        "Claim with the user's id, a string or an integer.",
        reason="RFC 7519, 4.1.2.",
    )
    jwt_role_claim: str = setting(
        "role",
        "Claim with the role.",
        reason="What `new_peer` calls it.",
    )
    jwt_rooms_claim: str = setting(
        "rooms",
        "Claim with the rooms that a peer may join: a list of names, or of beginnings with * behind; without the "
        "claim, any room.",
        reason="The word for it.",
    )
    jwt_radio_prefix: str = setting(
        "",
        "What precedes the names of the claims speak, priority, preempt, uninterruptible, dispatch and emergency, "
        "such as https://issuer.example/.",
        reason="Few issuers use these words for anything else; some put a URL before all claims of their own.",
    )
