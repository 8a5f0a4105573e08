"""The kit in pytest: five lines give one test for each check."""

pytest_plugins = ["pytester"]

FIVE = """
from langgraph_fluxmem.testing.conformance import conformance_tests
from langgraph.store.memory import InMemoryStore
async def store(*, index=None):
    yield InMemoryStore(index=index)
test_conformance = conformance_tests(store)
"""


def test_five_lines(pytester):
    pytester.makepyfile(FIVE)
    result = pytester.runpytest_subprocess("-k", "crud or listing or persistence", "-p", "no:cacheprovider")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] > 50
    assert outcomes["skipped"] > 5
    result.stdout.fnmatch_lines(["*listing.reading-makes-no-namespace: Getting, searching and deleting*"])
    result.stdout.fnmatch_lines(["*@reproduce('test_five_lines:store')*"])


def test_known_failures_and_a_report(pytester):
    known = '{"listing.reading-makes-no-namespace": "known", "listing.deleting-the-last-item": "known"}'
    pytester.makepyfile(FIVE.replace("conformance_tests(store)", f"conformance_tests(store, only=['listing'], known={known})"))
    plugin = "langgraph_fluxmem.testing.conformance.pytest_plugin"
    result = pytester.runpytest_subprocess("-p", plugin, "--conformance-report", "report.md", "-p", "no:cacheprovider")
    assert result.ret == 0
    assert result.parseoutcomes()["xfailed"] == 8
    text = (pytester.path / "report.md").read_text()
    assert "# Conformance of test_known_failures_and_a_report:store" in text
    assert "### listing.deleting-the-last-item" in text
