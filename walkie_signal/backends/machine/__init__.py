"""Several processes of one machine as one service, with no server beside them: one of them keeps the rooms.

    backend   the port of a node, whose store this is
    store     what the keeper is asked for                 uplink   the way to it          link   the connection
    keeper    who takes one step after another, for a term book     what it keeps, and its steps
    folder    the files of the group: locks and sockets    frames   what goes over a socket
    others    the other workers, as the host's server sees them

What a node does with any store is in `shared`. There are two rules for this folder: a process holds the lock of
its own file for as long as it lives, so that its end is known at once, whatever it was; and whoever begins a term
has ended all earlier ones.
"""

from walkie_signal.backends.machine.backend import MachineBackend

__all__ = ["MachineBackend"]
