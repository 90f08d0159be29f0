"""The language on the wire, read and written by pure functions: no rule about rooms stands here.

json           strict JSON               values    what may be relayed in it
frames         Engine.IO's packets       packets   Socket.IO's packets
event_packets  the packets of a namespace, as a node reads and writes them
relays         signals, whose value is passed on as the text that it came in
"""
