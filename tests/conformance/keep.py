"""Write the kept reports anew: `python -m tests.conformance.keep docs/conformance [store ...]`, then the page that compares them.

For SqliteStore and AsyncSqliteStore with vector search, Python's sqlite3 must load extensions, or pysqlite3-binary be installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from langgraph_fluxmem.testing.conformance import Conformance, Report, rules_markdown

STORES = {
    "FluxMemStore": "tests.store.factories:fluxmem",
    "InMemoryStore": "langgraph_fluxmem.testing.conformance.stock:memory",
    "SqliteStore": "langgraph_fluxmem.testing.conformance.stock:sqlite",
    "AsyncSqliteStore": "langgraph_fluxmem.testing.conformance.stock:async_sqlite",
}
MARKS = {"pass": "pass", "fail": "**fail**", "not offered": "-"}


def main(target: Path, names: list[str]) -> None:
    for name in names or STORES:
        conformance = Conformance(STORES[name])
        report = Report.of(conformance, conformance.run_all(), name=name)
        (target / f"{name}.md").write_text(report.markdown(), encoding="utf-8")
        (target / f"{name}.json").write_text(report.json(), encoding="utf-8")
        print(report.summary, flush=True)
    (target / "rules.md").write_text(rules_markdown(), encoding="utf-8")
    (target / "compared.md").write_text(compared(target), encoding="utf-8")


def compared(target: Path) -> str:
    """One row for each rule that any store fails, one column for each kept report."""
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(target.glob("*.json"))}
    lines = ["# Stores compared", ""]
    for name, report in kept.items():
        counts = ", ".join(f"{number} {outcome}" for outcome, number in report["summary"].items())
        lines.append(f"- [{name}]({name}.md): {counts} ({report['versions']['date']})")
    lines += ["", "Rules that at least one of them fails; `-` is not offered.", ""]
    lines += [f"| rule | {' | '.join(kept)} |", f"|---|{'---|' * len(kept)}"]
    outcomes = {name: {rule["id"]: rule["outcome"] for rule in report["rules"]} for name, report in kept.items()}
    for rule in dict.fromkeys(rule for found in outcomes.values() for rule in found):
        row = [found.get(rule, "-") for found in outcomes.values()]
        if "fail" in row:
            lines.append(f"| {rule} | {' | '.join(MARKS.get(outcome, outcome) for outcome in row)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
