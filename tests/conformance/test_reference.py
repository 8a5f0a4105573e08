"""The kit on stores without faults: every rule passes, so that a failure elsewhere is the store's, not the rule's."""

import pytest

from langgraph_fluxmem.testing.conformance import Conformance, plan

from . import stores

REFERENCE = Conformance("langgraph_fluxmem.testing.conformance.stock:reference")
FILE = Conformance(stores.file_store)


def test_every_rule_passes_on_the_reference_store():
    results = REFERENCE.run_all()
    assert {r.check.name: r.detail for r in results if r.outcome == "fail"} == {}
    skipped = {r.check.rule.id.partition(".")[0] for r in results if r.outcome == "not offered"}
    assert skipped <= {"persistence", "search"}


@pytest.mark.parametrize("group", ["persistence", "faces"])
def test_rules_pass_on_a_store_that_persists(group):
    results = FILE.run_all(plan(only=[group]))
    assert {r.check.name: r.detail for r in results if r.outcome != "pass"} == {}
