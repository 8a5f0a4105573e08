"""`python -m langgraph_fluxmem demo | schedule`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    from langgraph_fluxmem import schedule_command  # noqa: PLC0415
    from langgraph_fluxmem.demo import run  # noqa: PLC0415  (the demonstration's imports are no business of other commands)

    parser = argparse.ArgumentParser(prog="python -m langgraph_fluxmem")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="an agent learns to cook, with and without memory", description=run.__doc__)
    run.add_arguments(demo)
    schedule = commands.add_parser("schedule", help="consolidate by a cron of a LangGraph server", description=schedule_command.__doc__)
    schedule_command.add_arguments(schedule)
    options = parser.parse_args(argv)
    if options.command == "schedule":
        return schedule_command.command(options)
    return run.demo(run.options_of(options))


if __name__ == "__main__":
    sys.exit(main())
