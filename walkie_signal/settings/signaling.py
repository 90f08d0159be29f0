"""The settings of a signaling server, made of their groups."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.host import HostSettings
from walkie_signal.settings.identity import IdentitySettings
from walkie_signal.settings.limits import LimitSettings
from walkie_signal.settings.pacing import PaceSettings
from walkie_signal.settings.rooms import NameSettings, RoomSettings
from walkie_signal.settings.store import StoreSettings
from walkie_signal.settings.transport import TransportSettings


@dataclass(frozen=True, kw_only=True)
class Settings(
    # A dataclass takes over the fields of its last base first: so the help and the settings page begin with rooms
    StoreSettings,
    TransportSettings,
    HostSettings,
    PaceSettings,
    IdentitySettings,
    LimitSettings,
    NameSettings,
    RoomSettings,
):
    """The settings of a signaling server, wherever it runs.

    Raises:
        ValueError: A value is of the wrong type or out of its bounds; the text names the field.
    """
