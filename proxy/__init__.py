"""A thin gateway in OpenAI wire format.

Read in this order: wire (what is said), errors (what goes wrong), framing (bytes to
events), adapter (the contract of a vendor), hooks (the contract of a plugin), relay (one
stream as a machine), pipeline (one request from first byte to last), front (HTTP).
"""
