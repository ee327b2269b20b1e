"""`python -m pypeln`: the same as the `pypeln` command."""

from __future__ import annotations

import sys

from pypeln.cli import main

if __name__ == "__main__":  # a spawned worker imports this module again, under another name
    sys.exit(main())
