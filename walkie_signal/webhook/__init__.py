"""Tells a URL of the operator's what happens, by signed POSTs: another sink of facts.

There are two rules for this folder: whoever tells a fact never waits for the receiver; and whatever the receiver
does, what is kept for it and what is sent to it is bounded. Only `post` reaches the network.

    events     which facts are told, and as what: the table
    windows    how many events that strangers can cause are told
    backlog    what waits
    signing    the headers by which the receiver verifies a request
    receiver   what is read from the URL
    outcomes   what follows from an answer, and when to try again
    post       one request, which has an end
    sender     joins them: the webhook
"""
