"""How many connections a user may have, and for how long it is known that one was revoked."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting

ALLOW, REPLACE, REFUSE = "allow", "replace", "refuse"
"""What may become of a user's second connection."""


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(Group):
    """The users that an `authenticate` or a token names."""

    user_connections: str = setting(
        ALLOW,
        "What becomes of a user's second connection, on whichever node: allow lets it in, replace closes the older "
        "one, refuse refuses the newer one. The last two need authentication.",
        choices=(ALLOW, REPLACE, REFUSE),
        reason="What the Node server did; a phone and a laptop of one guard are two connections.",
    )
    connections_per_user: int = setting(
        100,
        "How many connections a user may have on one worker, if who connects is authenticated; 0 for any number.",
        least=0,
        reason="A person has a handful of devices; this is what somebody may hold open with one stolen token.",
    )
    revocations_kept: float = setting(
        7 * 86_400.0,
        "For how long a revoked user's earlier tokens are refused. No token may live longer.",
        unit="seconds",
        above=0,
        most=315_360_000.0,
        reason="Tokens of identity providers live for minutes up to a day; some backends give theirs for a week. A "
        "revocation takes some 200 bytes of each node's memory.",
    )
