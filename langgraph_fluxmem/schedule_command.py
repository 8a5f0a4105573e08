"""`python -m langgraph_fluxmem schedule`: the consolidation crons of a LangGraph server, made, changed, listed and removed."""

from __future__ import annotations

import argparse
import sys

from langgraph_fluxmem import schedule
from langgraph_fluxmem.errors import FluxMemError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--url", default="http://127.0.0.1:2024", help="the LangGraph server (default: %(default)s, as `langgraph dev` starts it)"
    )
    parser.add_argument("--namespace", help="the namespace, its labels joined by dots (default: memories; with --list and --remove: all)")
    parser.add_argument("--cron", default=schedule.NIGHTLY, help="when (default: %(default)r, every night at three, UTC)")
    parser.add_argument("--timezone", help="time zone of --cron, as in Europe/Berlin")
    parser.add_argument("--graph", default=schedule.GRAPH, help="name of the graph in langgraph.json (default: %(default)s)")
    parser.add_argument("--api-key", help="key of the server, when it asks for one")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show what is scheduled, change nothing")
    what.add_argument("--remove", action="store_true", help="remove it")


def command(options: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    namespace = tuple(options.namespace.split(".")) if options.namespace else None
    try:
        if options.remove:
            count = schedule.unschedule(options.url, namespace=namespace, api_key=options.api_key)
            sys.stdout.write(f"removed {count}\n")
            return 0
        if not options.list:
            schedule.schedule(
                options.url,
                namespace=namespace or schedule.DEFAULT,
                cron=options.cron,
                timezone=options.timezone,
                graph=options.graph,
                api_key=options.api_key,
            )
        found = schedule.scheduled(options.url, namespace=namespace, api_key=options.api_key)
    except FluxMemError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for cron in found:
        off = "" if cron.enabled else " (off)"
        sys.stdout.write(f"{'.'.join(cron.namespace)}\t{cron.cron}\tnext {cron.next_run}\t{cron.id}{off}\n")
    if not found:
        sys.stdout.write("nothing is scheduled\n")
    return 0
