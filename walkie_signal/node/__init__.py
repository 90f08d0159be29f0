"""This process's part of the service: its peers, what their events do, and what they are told.

It knows of connections only the port `walkie_signal.core.ports.Link`, and of other nodes only the backend.
"""
