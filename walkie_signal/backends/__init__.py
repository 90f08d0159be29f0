"""Backends put the changes of a room in one order, and carry them to every node with members in it.

Ordering a change is asynchronous; delivering an ordered change is synchronous.
"""
