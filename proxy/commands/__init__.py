"""What `headgate <command>` does: one file a command, with one function `run`.

A command is imported when it is called for, so that none waits for what another needs.
"""
