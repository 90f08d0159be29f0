"""Engine.IO: sessions, and what carries them.

server       the sessions and their life        doors       the requests that open and carry them; http: as HTTP
connection   one session; states: its states    outbox      what waits for it
carriers     what carries it: polling, websocket and direct
cors         which pages may connect            sweep       the times of all connections
lingering    what closed connections are owed   farewells   how a server that ends closes them
crowd        how many there may be              alone       what is above if nothing of ours is
"""
