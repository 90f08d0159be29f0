"""This process's part of the service: its peers, what their events do, and what they are told.

There are two rules for this folder: all that a peer does comes in by the gate, and all that it hears goes out by
the peer. Connections are only known by the port `walkie_signal.core.ports.Link`, and other nodes by the backend.

    node             the life of a node, and of each peer on it
    gate             the one way in: bounds, and who carries out what
    peers            a peer, its queue, and the one way out
    answers          what is answered if an event fails
    signals, early   the way of a signal; those before a first join
    joining, announcements, leaving, parting
                     how peers join rooms, join them again, leave them, and go for good
    refreshing       how a peer shows a fresh token
    site             what the backend calls: ordered changes, and what other nodes ask for
    fanout, rosters  what the members of a room are told; rosters have a pace
    orders, hooks    what the host asks and orders, and what it is told
    siblings         whether other processes keep rooms of their own
"""
