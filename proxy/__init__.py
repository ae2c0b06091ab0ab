"""A thin gateway in OpenAI wire format.

Read in this order: wire (what is said), errors (what goes wrong), framing (bytes to
events), adapter (the contract of a vendor), hooks (the contract of a plugin), relay (one
stream as a machine), pipeline (one request from first byte to last), front (HTTP).

How a request finds who serves it: deployments and health (what is chosen, and how it is doing),
eligibility (who may), routing (who of them), attempts (what is tried in which order), remedies
(what helps after which failure), queues (who waits for whom), legs and use (one attempt).
"""
