"""The outcome of a whole run, for each rule: as JSON to keep, as Markdown to read."""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .model import Capabilities, Outcome, Result, Rule
from .registry import all_rules
from .runner import Conformance

PACKAGES = ("langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite", "langgraph_fluxmem", "hypothesis", "pysqlite3-binary")


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule with what came out of its checks."""

    rule: Rule
    results: tuple[Result, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of its checks: "fail" if any failed, "pass" if any passed, else "not offered"."""
        outcomes = {result.outcome for result in self.results}
        return "fail" if "fail" in outcomes else "pass" if "pass" in outcomes else "not offered"

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "fail"]

    @property
    def first(self) -> Result:
        """The failure to show: the first one, which is on the synchronous face and without an index if there is one there."""
        return self.failures[0]


class Report:
    """Every rule's outcome for one store."""

    def __init__(self, name: str, capabilities: Capabilities, results: Sequence[Result], versions: dict[str, str]) -> None:
        self.name = name
        self.capabilities = capabilities
        self.versions = versions
        by_rule: dict[str, list[Result]] = {}
        for result in results:
            by_rule.setdefault(result.check.rule.id, []).append(result)
        self.rules = [RuleReport(found[0].check.rule, tuple(found)) for found in by_rule.values()]

    @classmethod
    def of(cls, conformance: Conformance, results: Sequence[Result], *, name: str | None = None) -> Report:
        """The report of a run, with the versions of the packages of this environment."""
        return cls(name or conformance.factory.name, conformance.capabilities, results, environment())

    def count(self, outcome: Outcome) -> int:
        """How many rules came out so."""
        return sum(1 for rule in self.rules if rule.outcome == outcome)

    @property
    def summary(self) -> str:
        checks = sum(1 for rule in self.rules for result in rule.results if result.outcome != "not offered")
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in ("pass", "fail", "not offered"))
        return f"{self.name}: {len(self.rules)} rules: {counts} ({checks} checks run)"

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON carries it."""
        return {
            "store": self.name,
            "versions": self.versions,
            "capabilities": {name: {"offered": offer.offered, "why": offer.why} for name, offer in self.capabilities.items()},
            "summary": {outcome: self.count(outcome) for outcome in ("pass", "fail", "not offered")},
            "rules": [_rule(report) for report in self.rules],
        }

    def json(self) -> str:
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"

    def markdown(self) -> str:
        """Capabilities, failures with their reproductions, and a table of all rules."""
        lines = [f"# Conformance of {self.name}", "", f"{self.summary.partition(': ')[2]}.", ""]
        lines += [f"- {package} {number}" for package, number in self.versions.items()]
        lines += ["", "| capability | offered | how it shows |", "|---|---|---|"]
        lines += [
            f"| {name} | {'yes' if o.offered else 'no'} | {_cell(o.why)} |" for name, o in self.capabilities.items() if name != "no-ttl"
        ]
        failed = [rule for rule in self.rules if rule.outcome == "fail"]
        if failed:
            lines += ["", "## Failures", "", "Each reproduction is a script of its own: it ends with an exception."]
        for report in failed:
            lines += ["", f"### {report.rule.id}", "", report.rule.title]
            if report.rule.reading:
                lines += ["", f"Reading: {report.rule.reading}"]
            run = [result for result in report.results if result.outcome != "not offered"]
            lines += ["", f"Fails in {len(report.failures)} of {len(run)} checks ({_where(report)}). `{report.first.check.name}`:", ""]
            lines += ["```", report.first.detail, "```"]
            if report.first.reproduction:
                lines += ["", "```python", report.first.reproduction, "```"]
        lines += ["", "## All rules", "", "| rule | outcome | what it asks |", "|---|---|---|"]
        for report in self.rules:
            why = f" ({report.results[0].detail.partition(':')[0]})" if report.outcome == "not offered" else ""
            lines.append(f"| {report.rule.id} | {report.outcome}{_cell(why)} | {_cell(report.rule.title)} |")
        return "\n".join(lines) + "\n"


def environment() -> dict[str, str]:
    """Versions that a report belongs to."""
    found = {"date": datetime.now(UTC).date().isoformat(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def rules_markdown() -> str:
    """Every rule of the kit with what it asks and, where stores differ, which reading it takes and why."""
    rules = all_rules()
    lines = ["# Rules of the conformance kit", "", f"{len(rules)} rules. Needs: the capabilities without which a rule is not run."]
    lines += ["", "What readings say of PostgresStore is read from its source (langgraph-checkpoint-postgres 3.2.0), not run."]
    group = ""
    for rule in rules:
        if rule.id.partition(".")[0] != group:
            group = rule.id.partition(".")[0]
            lines += ["", f"## {group}", ""]
        needs = f" Needs {', '.join(rule.needs)}." if rule.needs else ""
        cases = f" {len(rule.cases)} cases." if rule.cases else ""
        lines.append(f"- **{rule.id}**: {rule.title}{cases}{needs}")
        if rule.reading:
            lines.append(f"  *Reading:* {rule.reading}")
    return "\n".join(lines) + "\n"


def _rule(report: RuleReport) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": report.rule.id, "outcome": report.outcome, "title": report.rule.title, "reading": report.rule.reading}
    if report.outcome == "not offered":
        return {**entry, "why": report.results[0].detail}
    entry["checks"] = sum(1 for result in report.results if result.outcome != "not offered")
    if report.failures:
        entry["failures"] = [{"check": result.check.name, "detail": result.detail} for result in report.failures]
        entry["reproduction"] = {"check": report.first.check.name, "code": report.first.reproduction}
    return entry


def _where(report: RuleReport) -> str:
    checks = [result.check for result in report.failures]
    parts = [
        sorted({check.case for check in checks if check.case}),
        sorted({check.face for check in checks}),
        sorted({c.variant for c in checks}),
    ]
    return "; ".join(", ".join(part) for part in parts if part)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
