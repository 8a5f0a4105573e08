"""The kept reports: every failure in them can be seen again, and a fresh run finds the same."""

import json
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

from langgraph_fluxmem.testing.conformance import Conformance, plan, rules_markdown
from langgraph_fluxmem.testing.conformance.rendering import MAX_LINES

from .keep import STORES, compared

KEPT = Path(__file__).parents[2] / "docs" / "conformance"
PACKAGES = ("langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite")
TRIES = 5


def report(name):
    kept = json.loads((KEPT / f"{name}.json").read_text())
    found = {package: version(package) for package in PACKAGES}
    if {package: kept["versions"][package] for package in PACKAGES} != found:
        pytest.skip(f"the report was made with other versions than {found}")
    return kept


def raises(code):
    """Whether a reproduction ends with an exception; races get several tries."""
    for _ in range(TRIES if "in_threads" in code or "wait_for" in code else 1):
        try:
            exec(code, {})
        except Exception:
            return True
    return False


@pytest.mark.parametrize("name", ["InMemoryStore", "SqliteStore", "AsyncSqliteStore"])
@pytest.mark.filterwarnings("default")  # the stores leave tasks and connections behind
def test_every_failure_can_be_seen_again(name):
    kept = report(name)
    index = Conformance(STORES[name]).capabilities["index"].offered
    failed = {rule["id"]: rule["reproduction"]["code"] for rule in kept["rules"] if rule["outcome"] == "fail"}
    assert len(failed) > 20
    wanted = {rule: code for rule, code in failed.items() if index or "index=" not in code}
    passed = [rule for rule, code in wanted.items() if ".sleep(" not in code and not raises(code)]
    waiting = [(rule, code) for rule, code in wanted.items() if ".sleep(" in code]
    threads = [threading.Thread(target=lambda r=rule, c=code: raises(c) or passed.append(r)) for rule, code in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # times to live are short: on a busy machine they end before they are looked at
    alone = [rule for rule in passed if not raises(wanted[rule])]
    assert alone == []


@pytest.mark.parametrize("name", list(STORES))
def test_every_reproduction_is_short(name):
    kept = json.loads((KEPT / f"{name}.json").read_text())
    assert [
        rule["id"]
        for rule in kept["rules"]
        if rule["outcome"] == "fail" and not 1 <= len(rule["reproduction"]["code"].splitlines()) <= MAX_LINES
    ] == []


def test_a_fresh_run_finds_the_same():
    kept = report("InMemoryStore")
    races = ("concurrency.",)
    checks = [check for check in plan() if check.face == "sync" and not check.rule.id.startswith(races) and not check.rule.waits]
    results = Conformance(STORES["InMemoryStore"]).run_all(checks)
    ran = {check.name for check in checks}
    expected = {f["check"] for rule in kept["rules"] for f in rule.get("failures", []) if f["check"] in ran}
    assert {result.check.name for result in results if result.outcome == "fail"} == expected


def test_the_pages_are_up_to_date():
    hint = "run `python -m tests.conformance.keep docs/conformance`"
    assert (KEPT / "rules.md").read_text() == rules_markdown(), hint
    assert (KEPT / "compared.md").read_text() == compared(KEPT), hint
