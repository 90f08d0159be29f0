"""What Redis keeps for the nodes, and what it does for them in one step, in words of the domain.

    rooms       members and their changes          nodes      leases, and which rooms a node is in
    channels    what nodes send one another        places     where peers and users are
    values      what stands beside rooms           keys       what these five have in common
    names       how keys and channels are called   strange    keys that others have written

There are two rules for this folder. Only here are the names of keys and channels known, and the scripts and their
arguments. And what Redis refuses leaves it as a `RefusedError`, or as a `StrangeKeyError`.

Requests are carried out in the order of the calls, because each method sends its own before it waits for anything.
Except where it says so, each of them raises one of `Failed` if Redis does not carry its request out.
"""

from __future__ import annotations

from walkie_signal.backends.redis.store.channels import StoredChannels
from walkie_signal.backends.redis.store.names import Names
from walkie_signal.backends.redis.store.nodes import StoredNodes
from walkie_signal.backends.redis.store.places import StoredPlaces
from walkie_signal.backends.redis.store.rooms import StoredRooms
from walkie_signal.backends.redis.store.strange import StrangeKeys
from walkie_signal.backends.redis.store.values import StoredValues
from walkie_signal.backends.redis.uplink import Uplink
from walkie_signal.backends.shared.incarnation import Incarnation


class Store:
    """The keys and channels of one namespace of one service, as one node sees them; by noun."""

    def __init__(self, prefix: str, namespace: str, uplink: Uplink, incarnation: Incarnation) -> None:
        names, strange = Names(prefix, namespace, uplink.address.database), StrangeKeys()
        self.rooms = StoredRooms(names, uplink, incarnation, strange)
        self.values = StoredValues(names, uplink, incarnation, strange)
        self.nodes = StoredNodes(names, uplink, incarnation, strange)
        self.channels = StoredChannels(names, uplink, incarnation, strange)
        self.places = StoredPlaces(names, uplink, incarnation, strange)
