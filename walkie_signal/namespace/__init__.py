"""The adapter to python-socketio: Socket.IO's events in, texts out. It works on any `socketio.AsyncServer`."""

from walkie_signal.namespace.namespace import Options, SignalingNamespace

__all__ = ["Options", "SignalingNamespace"]
