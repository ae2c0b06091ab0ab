"""The configuration: from a file and the environment to typed, checked values.

Read in this order: structs (what can be set), resolve (the nearer setting wins), sources (files
to plain values with line numbers), convert (plain values to structs), crosscheck (what only
the whole can tell), load (all of it, or every mistake at once), discover (no file at all).
"""
