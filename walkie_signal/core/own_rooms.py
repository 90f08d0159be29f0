"""The rooms that the service keeps for itself, so that all that holds for members and values holds for these too.

A namespace of the host's begins with a slash, and these stand in the place of one.
"""

from __future__ import annotations

from walkie_signal.core.emits import stored_name
from walkie_signal.core.identity import UserId

USERS = "users"
"""The namespace of the users' rooms, each of which has the connections of one user as members."""

REVOCATIONS = "revocations"
"""The namespace of the room whose members are all nodes that authenticate, beside which the revocations stand."""

REVOCATIONS_ROOM = stored_name(REVOCATIONS, None)
"""What that room is called in the store."""


def user_room(user_id: UserId) -> str:
    """Return the room whose members are the connections of a user; 7 and "7" are the same user."""
    return stored_name(USERS, str(user_id))
