"""A vendor that lives on this machine: answers like one, fails like one, costs nothing.

It answers the first request of somebody who has no key yet, it is the other side of our own
tests, and `headgate sim` gives it to users for theirs. It imports nothing of the gateway.

Read in this order: behaviour (what can be asked for), turn (what is said), script (how it
is sent, faults included), openai (a vendor's format), server (sockets).
"""
