"""The functions that the host gives us to call."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class HostSettings(Group):
    """How the host's functions are called."""

    callback_timeout: float = setting(
        5.0,
        "How long a function of the host (authenticate, authorize, a hook) may take.",
        unit="seconds",
        above=0,
        reason="A look-up in a database takes far less, and the peer still waits: its `connect_timeout` is 10 s.",
    )
    callback_threads: int = setting(
        8,
        "Threads for the functions of the host that are not async.",
        least=1,
        reason="They mostly wait for a database, and SQLAlchemy's pool of connections has 5, and 10 more for a "
        "rush. asyncio's own pool has four threads more than there are processors.",
    )
