"""Settings for tests that send, join or fail more than a peer may."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from walkie_signal.settings import Settings

UNLIMITED: dict[str, Any] = {
    "event_rate": 0,
    "byte_rate": 0,
    "join_rate": 0,
    "new_room_rate": 0,
    "bad_credentials": 0,
}


def unlimited(**settings: Any) -> Settings:
    """Return settings without limits on how much a peer and an address may do."""
    return Settings(**{**UNLIMITED, **settings})


def arguments_of(settings: Settings) -> list[str]:
    """Return what gives the command these settings, as far as they are not the defaults."""
    changed = [each for each in fields(settings) if getattr(settings, each.name) != each.default]
    return [
        part
        for each in changed
        for part in (f"--{each.name.replace('_', '-')}", str(getattr(settings, each.name)))
    ]
