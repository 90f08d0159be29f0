"""A node's part in a store that several nodes share, whichever store it is.

    backend        the port of a node, made of all the others; its life
    store          what nodes share, as its users see it, and what it may fail with
    uplink         a node's way to the store and its life      uplink_states  its states
    outage         what the log says about a time without it
    incarnation    which node this process is at present       lifetime   how long it may stand still as that node
    followed       the rooms that the node follows             copies, states   the copy of each, and its states
    screen         what the node sees of their changes
    rooms          joining and leaving                         healing    agreeing with the store
    mail           what nodes send one another                 messages   the format of that
    ways           the way of mail to each other node          backlogs   what waits for room on one
    mesh           where nodes of a machine listen             mesh_ends  the connections between them
    format         which formats this release reads and writes
    records        the format of what is stored
    directory      where peers and users are                   values     the values beside rooms
    heart          leases, and the removal of dead nodes
    in_order       a line of those who wait
    others         the other nodes, as the host's server sees them
    host_rooms     which of them have somebody for an emit     host_mail  what they are sent

There are three rules for this folder: it knows no store of its own, but the ports in `store` and `uplink`; a
request waits for the store for at most `uplink.REPLY_TIMEOUT`; no node is declared dead by an expiry.
"""
