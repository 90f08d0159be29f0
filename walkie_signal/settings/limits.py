"""What a peer may send, and what may wait of it."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class LimitSettings(Group):
    """The bounds of a peer's events."""

    event_bytes: int = setting(
        65_536,
        "Largest event of a peer, encoded.",
        unit="bytes",
        least=1024,
        reason="nextcloud-spreed-signaling and Centrifugo take 64 KiB too; a session description with video "
        "has some 6 KB.",
    )
    nesting_depth: int = setting(
        64,
        "Deepest nesting of lists and objects in an event.",
        unit="levels",
        least=4,
        reason="orjson writes no more than 254 levels, though it reads more; a signal has three or four.",
    )
    queued_events: int = setting(
        128,
        "How many events of a peer may wait while an earlier one is under way.",
        least=1,
        reason="While its join is under way, a stock client sends the offers and candidates of a few calls; "
        "`core/early.py` lets 64 signals wait before that.",
    )
    queued_bytes: int = setting(
        1 << 20,
        "What those events may hold, as text, before the next one is refused.",
        unit="bytes",
        least=1024,
        reason="What `outbox_bytes` lets wait in the other direction; 128 events of 64 KiB would be 8 MiB a peer.",
    )
