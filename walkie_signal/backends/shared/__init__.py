"""A node's part in a store that several nodes share, whichever store it is.

    store          what nodes share, as its users see it, and what it may fail with
    incarnation    which node this process is at present       lifetime   how long it may stand still as that node
    uplink_states  the states of its way to the store
    followed       the rooms that the node follows             copies, states   the copy of each, and its states

There is one rule for this folder: it knows no store of its own, but the port in `store`.
"""
