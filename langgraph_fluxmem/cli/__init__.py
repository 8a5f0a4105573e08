"""The command line: ``fluxmem``, or ``python -m langgraph_fluxmem``."""

from __future__ import annotations

import sys

from langgraph_fluxmem.cli.app import main


def entry() -> None:
    """The ``fluxmem`` script."""
    sys.exit(main(program="fluxmem"))


__all__ = ["entry", "main"]
