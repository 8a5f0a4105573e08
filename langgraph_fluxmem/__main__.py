"""`python -m langgraph_fluxmem COMMAND`; see `cli.app`."""

from __future__ import annotations

import sys

from langgraph_fluxmem.cli import main

if __name__ == "__main__":
    sys.exit(main())
