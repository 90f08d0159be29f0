"""Socket.IO on top of the sessions: python-socketio's API and tables, with our own joins and emits.

server    the `socketio.AsyncServer`                joins   how connections enter and leave namespaces
sockets   what is kept for each namespace           emits   python-socketio's rooms
handling  what becomes of packets; calls: of a host's handlers
audience  the clients here, as other nodes reach them
"""
