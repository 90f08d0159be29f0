"""`JWTAuth`, an ``authenticate`` for hosts whose own service signs tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from walkie_signal.auth.claims import ClaimNames, identity_of
from walkie_signal.auth.keys import FixedKeys, Keys, key_of_pem, keys_of_set, secret_keys
from walkie_signal.auth.remote import RemoteKeys
from walkie_signal.auth.tokens import UNSIGNED, Demands, read_header, verified
from walkie_signal.core.identity import Credentials, Identity
from walkie_signal.errors import CredentialRefused


class JWTAuth:
    """Lets in whoever shows a valid JSON Web Token, as the user that the token names.

    ::

        attach(app, authenticate=JWTAuth(secret=os.environ["JWT_SECRET"]))

    Give exactly one of `secret`, `public_key`, `jwks` and `jwks_url`.

    Args:
        secret: The secret that the issuer signs with, for HS256 and its siblings; 32 bytes at least.
        previous_secret: Another secret that is good too, while the secret is being changed.
        public_key: The issuer's public key or certificate, in PEM format.
        jwks: A JWKS document with the issuer's public keys.
        jwks_url: The URL of such a document. It is fetched at the first token, every ten minutes, and at most once
            a minute for a token with an unknown ``kid``; while its server is away, the known keys are good.
        algorithms: The algorithms that a token may be signed with, such as ``["RS256"]``; ``None`` is HS256 for a
            secret, RS256 for an RSA key, ES256, ES384 or ES512 for a key on such a curve, and EdDSA for Ed25519. A
            token that names another one is refused.
        audience: Who the token has to be for (``aud``), one or several; ``None`` if tokens name nobody.
        issuer: Who has to have issued it (``iss``); ``None`` if that does not matter.
        leeway: How many seconds the clocks of the issuer and of this machine may differ.
        require_exp: Whether a token has to say when it ends. One that never ends can't be withdrawn.
        user_claim: The claim with the user's id, a string or an integer; each token must have it.
        role_claim: The claim with the role, a string; a token may lack it.
        rooms_claim: The claim with the rooms that the peer may join, a list of names, or of beginnings with ``*``
            behind; a token without it allows each room.
        radio_prefix: What precedes the names of the claims ``speak``, ``priority``, ``preempt``,
            ``uninterruptible``, ``dispatch`` and ``emergency``, such as ``https://issuer.example/``; `Identity`
            says what they mean.

    Raises:
        ValueError: A key can't be used, or there is none, or more than one; the text does not show it.
    """

    def __init__(
        self,
        *,
        secret: str | bytes | None = None,
        previous_secret: str | bytes | None = None,
        public_key: str | bytes | None = None,
        jwks: Mapping[str, Any] | None = None,
        jwks_url: str | None = None,
        algorithms: Sequence[str] | None = None,
        audience: str | Sequence[str] | None = None,
        issuer: str | None = None,
        leeway: float = 10,
        require_exp: bool = True,
        user_claim: str = "sub",
        role_claim: str = "role",
        rooms_claim: str = "rooms",
        radio_prefix: str = "",
    ) -> None:
        given = {"secret": secret, "public_key": public_key, "jwks": jwks, "jwks_url": jwks_url}
        if sum(each is not None for each in given.values()) != 1:
            raise ValueError(f"JWTAuth needs exactly one of {', '.join(given)}")
        if previous_secret is not None and secret is None:
            raise ValueError("previous_secret goes with secret")
        self._keys: Keys
        if secret is not None:
            secrets = [secret] if previous_secret is None else [secret, previous_secret]
            self._keys = FixedKeys(secret_keys(secrets, algorithms))
        elif public_key is not None:
            self._keys = FixedKeys([key_of_pem(public_key, algorithms)])
        elif jwks is not None:
            self._keys = FixedKeys(keys_of_set(jwks, algorithms))
        else:
            self._keys = RemoteKeys(jwks_url or "", algorithms)
        required = ["exp", user_claim] if require_exp else [user_claim]
        self._demands = Demands(audience, issuer, leeway, required)
        self._names = ClaimNames(user_claim, role_claim, rooms_claim, radio_prefix)

    async def __call__(self, credentials: Credentials) -> Identity:
        """Return who shows these credentials.

        Raises:
            SignalingError: ``unauthorized``, for whatever reason; ``unavailable`` if the keys can't be fetched.
        """
        token = credentials.token
        header = read_header(token)
        refusal = CredentialRefused(UNSIGNED)
        for key in await self._keys.that_may_have_signed(header, ask=not credentials.is_suspect):
            try:
                claims = verified(token or "", key.material, header.algorithm, self._demands)
            except CredentialRefused as refused:  # noqa: PERF203 - a key or two
                # The key that has signed it says more than the others
                refusal = refused if refusal.why == UNSIGNED else refusal
            else:
                return identity_of(claims, self._names)
        raise refusal
