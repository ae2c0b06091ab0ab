"""The benchmark of the gateway: `python -m tests.bench`, or `make bench`.

It exists so that "fast" is a number anybody can take again: every server stands between the
same load and the same vendor, in one run, on one core, and is judged by CPU microseconds per
request (user + system of its processes ÷ requests), which are stable where a wall clock is not.
"""
