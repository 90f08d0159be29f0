"""The hand-over of requests to the worker that holds their session.

hand_over   what a worker does with requests of others   carriage   one request that is carried
doorway     where other workers find this one            folder     the Unix sockets
pipes       ASGI events between two processes
"""
