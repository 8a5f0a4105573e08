"""Every seeded bug is noticed by each of the rules that are about it."""

import pytest

from langgraph_fluxmem.testing.conformance import Conformance, all_rules, plan

from .mutants import TABLE


def test_the_table_names_rules_that_exist():
    known = {rule.id for rule in all_rules()}
    assert [rule for made in TABLE.values() for rule in made.rules if rule not in known] == []
    assert len(TABLE) >= 12


@pytest.mark.parametrize("name", TABLE)
def test_the_bug_is_noticed(name):
    conformance = Conformance(f"{__package__}.mutants:{name}")
    checks = [check for check in plan() if check.rule.id in TABLE[name].rules]
    waiting = [check for check in checks if check.rule.waits and check.face == "sync"]
    noticed = {result.check.rule.id for result in conformance.run_all(waiting) if result.outcome == "fail"}
    for check in checks:
        if not check.rule.waits and check.rule.id not in noticed and conformance.run(check).outcome == "fail":
            noticed.add(check.rule.id)
    assert noticed == set(TABLE[name].rules)
