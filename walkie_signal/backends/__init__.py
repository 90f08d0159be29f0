"""What puts the changes of a room in one order, and carries them to every node with members in it.

Changing is asynchronous; delivering what was ordered is synchronous.
"""
