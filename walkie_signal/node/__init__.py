"""This process's part of the service: its peers, what their events do, and what they are told.

It only knows connections by the port `walkie_signal.core.ports.Link`, and other nodes by the backend.
"""
