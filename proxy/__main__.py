"""`python -m proxy`, and the command `headgate`."""

from __future__ import annotations

import sys

from proxy import cli


def main() -> None:
    """Run the command and leave with its exit code."""
    sys.exit(cli.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
