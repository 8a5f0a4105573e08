"""Command line: `python -m langgraph_fluxmem.testing.conformance module:factory [--only crud --only ttl] [--markdown F] [--json F]`.

The exit status is 0 if no rule failed, 1 if one did, 2 if the factory is at fault.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .factories import FactoryError, load_factory
from .model import Result
from .report import Report
from .runner import Conformance, plan


def main(arguments: list[str] | None = None) -> int:
    """Run the kit and print one line for each rule that failed, with its reproduction, and a summary."""
    parser = argparse.ArgumentParser(prog="python -m langgraph_fluxmem.testing.conformance", description="Check a LangGraph store.")
    parser.add_argument("factory", help="package.module:name or path/to/file.py:name")
    parser.add_argument("--only", action="append", default=[], metavar="RULES", help="only rules whose id starts so; may be repeated")
    parser.add_argument("--name", help="what the report calls the store (default: the factory)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report to FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE, for programs")
    parser.add_argument("--list", action="store_true", help="list the rules and end")
    options = parser.parse_args(arguments)
    if options.list:
        for rule in dict.fromkeys(check.rule.id + "  " + check.rule.title for check in plan(only=options.only)):
            _say(rule)
        return 0
    sys.path.insert(0, str(Path.cwd()))
    try:
        conformance = Conformance(load_factory(options.factory))
        for name, offer in conformance.capabilities.items():
            _say(f"{'yes' if offer.offered else 'no ':3} {name}: {offer.why}")
    except FactoryError as error:
        _say(f"error: {error}")
        return 2
    failed: set[str] = set()

    def progress(result: Result) -> None:
        if result.outcome == "fail" and result.check.rule.id not in failed:
            failed.add(result.check.rule.id)
            _say(
                f"\nFAIL {result.check.rule.id}: {result.check.rule.title}\n     {result.check.name}: {result.detail}\n\n{result.reproduction}"
            )

    report = Report.of(conformance, conformance.run_all(plan(only=options.only), progress), name=options.name)
    if options.markdown:
        options.markdown.write_text(report.markdown(), encoding="utf-8")
    if options.json:
        options.json.write_text(report.json(), encoding="utf-8")
    _say(f"\n{report.summary}")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    status = main()
    os._exit(status)  # a store that hangs left a thread behind, which must not keep the process
