"""What several gateway processes know together, through Redis (`state.redis`).

When a circuit opens or closes, a credential dies, revives or has to rest, or an operator
drains something, the process that learns it first tells all others; one that starts later
learns what holds then. Nothing of this is on the way of a request: a change is put into a
bounded outbox, and one task in the background does the rest. Without Redis, or while it is
away, each process decides for itself as if there were no other.

    facts       what is told: names and values
    outbox      what is still to be told, and what of it has come back
    leases      which process of all may try an open circuit
    store       what is asked of the server, in our words; `redisstore` speaks to Redis
    shared      the task that connects all of it, and connects again
"""
