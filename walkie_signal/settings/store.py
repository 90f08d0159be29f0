"""The store that nodes share."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting
from walkie_signal.settings.forms import is_prefix


@dataclass(frozen=True, kw_only=True)
class StoreSettings(Group):
    """What a node's part of the store is called."""

    redis_prefix: str = setting(
        "walkie-signal",
        "The beginning of the names of all keys and channels in Redis; services with the same prefix share rooms.",
        form=is_prefix,
        write="printable ASCII characters without spaces and braces, such as walkie-signal",
        reason="The name of the package: who looks through a Redis finds out whose the keys are.",
    )
