"""The kit itself: factories, rendering, capabilities, runs."""

import ast
import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from langgraph_fluxmem.testing.conformance import (
    Conformance,
    FactoryError,
    ReferenceStore,
    Report,
    StoreFactory,
    all_rules,
    cosine,
    embed,
    load_factory,
    plan,
    refused,
    reproduce,
)
from langgraph_fluxmem.testing.conformance.embedding import DIMS
from langgraph_fluxmem.testing.conformance.rendering import MAX_LINES, render

from . import stores

STOCK = "langgraph_fluxmem.testing.conformance.stock"
RENDERED = [check for check in plan() if check.rule.shape != "scenario"]


def test_every_rule_has_a_name_of_its_own_and_says_what_it_asks():
    rules = all_rules()
    assert len({rule.id for rule in rules}) == len(rules) > 100
    assert [rule.id for rule in rules if not rule.title.endswith(".")] == []
    assert len({check.name for check in plan()}) == len(plan())


def test_every_reproduction_is_ten_lines_of_python_at_most():
    too_long = {}
    for check in RENDERED:
        code = render(check, "package.module:factory", ReferenceStore())
        ast.parse(code)
        if len(code.splitlines()) > MAX_LINES:
            too_long[check.rule.id] = len(code.splitlines())
    assert too_long == {}


@pytest.mark.parametrize(
    "rule", sorted({check.rule.id for check in RENDERED if not check.rule.waits and "persistence" not in check.rule.needs})
)
def test_reproductions_pass_on_a_store_without_faults(rule):
    """What a rule's body does and what its printed code does is the same: on the reference store the code must not raise."""
    checks = {(c.face, c.case): c for c in RENDERED if c.rule.id == rule and "no-ttl" not in c.rule.needs}
    for check in list(checks.values())[:2] + list(checks.values())[-2:]:
        exec(render(check, f"{STOCK}:reference", ReferenceStore()), {})  # noqa: S102


def test_a_reproduction_with_reopening_runs():
    check = next(c for c in RENDERED if c.rule.id == "persistence.everything-is-kept" and c.face == "sync")
    code = render(check, f"{stores.__name__}:file_store")
    assert "store = reopen()" in code
    exec(code, {})


@pytest.mark.parametrize("face", ["sync", "async"])
def test_reproduce_raises_what_the_example_raises(face):
    def wrong(store):
        assert store.get(("a",), "k") is not None

    async def wrong_too(store):
        assert await store.aget(("a",), "k") is not None

    with pytest.raises(AssertionError):
        reproduce(f"{STOCK}:reference")(wrong if face == "sync" else wrong_too)


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        (stores.file_store, {"path", "index", "ttl"}),
        (stores.plain_function, set()),
        (stores.context_manager, {"index"}),
        (stores.async_context_manager, {"ttl"}),
        (stores.coroutine, {"path"}),
        (ReferenceStore, {"index", "ttl"}),
    ],
)
def test_factories_in_every_form(factory, options, tmp_path):
    found = StoreFactory(factory)
    assert found.options == options
    assert load_factory(found.spec).factory == factory

    async def use():
        async with found.open(path=tmp_path) as store:
            await store.aput(("a",), "k", {"n": 1})
            return (await store.aget(("a",), "k")).value

    assert asyncio.run(use()) == {"n": 1}


def test_a_factory_is_found_in_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from langgraph_fluxmem.testing.conformance import ReferenceStore\ndef store():\n    yield ReferenceStore()\n")
    result = Conformance(f"{file}:store").run(plan(only=["crud.put-then-get"])[0])
    assert result.outcome == "pass"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nowhere", "module:factory"),
        ("nowhere_at_all:store", "not found"),
        ("nowhere.py:store", "no Python file"),
        ("json:store", "has no 'store'"),
    ],
)
def test_a_factory_that_is_not_there(spec, said):
    with pytest.raises(FactoryError, match=said):
        load_factory(spec)


def test_a_factory_that_gives_no_store():
    with pytest.raises(FactoryError, match="gave dict"):
        Conformance(stores.not_a_store).run(plan()[0])


def test_capabilities_are_found_out():
    offered = {name for name, offer in Conformance(stores.file_store).capabilities.items() if offer.offered}
    assert offered == {"sync", "async", "filters", "index", "ttl", "sweep", "setup", "persistence", "multi-process"}
    offered = {name for name, offer in Conformance(ReferenceStore).capabilities.items() if offer.offered}
    assert offered == {"sync", "async", "filters", "index", "ttl", "sweep", "setup"}
    inside = Conformance(lambda path: stores.FileStore(path)).capabilities
    assert inside["persistence"].offered
    assert "top level of a module" in inside["multi-process"].why


class NoFilters(ReferenceStore):
    """Does not offer filters, nor the asynchronous face."""

    def check_filter(self, key, condition):
        raise NotImplementedError("no filters here")

    async def abatch(self, ops):
        raise NotImplementedError("synchronous only")


def test_what_is_not_offered_is_said_not_failed():
    conformance = Conformance(NoFilters)
    results = {r.check.name: r for r in conformance.run_all(plan(only=["filters.large", "crud.put-then"]))}
    assert results["filters.large-numbers-sync-plain"].outcome == "not offered"
    assert "no filters here" in results["filters.large-numbers-sync-plain"].detail
    assert results["crud.put-then-get-async-plain"].outcome == "not offered"
    assert results["crud.put-then-get-sync-plain"].outcome == "pass"


class Forgetful(ReferenceStore):
    """Loses every item."""

    def save(self, entries):
        return None


def test_a_failure_comes_with_what_was_seen_and_how_to_see_it_again():
    conformance = Conformance(f"{__name__}:Forgetful")
    (result,) = conformance.run_all(plan(only=["crud.any-mapping"])[:1])
    assert result.outcome == "fail"
    assert result.detail.startswith("AttributeError: 'NoneType' object has no attribute 'value'")
    assert f"@reproduce('{__name__}:Forgetful')" in result.reproduction
    with pytest.raises(AttributeError):
        exec(result.reproduction, {})


def test_a_random_program_is_cut_down_to_what_it_needs():
    conformance = Conformance(f"{__name__}:Forgetful")
    (result,) = conformance.run_all([c for c in plan(only=["stateful.items"]) if c.name == "stateful.items-sync-plain"])
    assert result.outcome == "fail"
    code = result.reproduction.splitlines()
    assert [line.strip().partition("(")[0] for line in code[-3:]] == [
        "store.put",
        "result = store.batch",
        "assert result and result.value == {}",
    ]


def test_report_as_json_and_as_markdown():
    conformance = Conformance(f"{__name__}:Forgetful")
    report = Report.of(
        conformance, conformance.run_all(plan(only=["crud.get-of", "crud.put-then", "persistence.deletes"])), name="Forgetful"
    )
    kept = json.loads(report.json())
    outcomes = {rule["id"]: rule["outcome"] for rule in kept["rules"]}
    assert outcomes == {"crud.put-then-get": "fail", "crud.get-of-nothing": "pass", "persistence.deletes-are-kept": "not offered"}
    assert kept["summary"] == {"pass": 1, "fail": 1, "not offered": 1}
    assert kept["versions"]["langgraph"]
    text = report.markdown()
    assert "### crud.put-then-get" in text
    assert "| persistence.deletes-are-kept | not offered (persistence) |" in text


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "langgraph_fluxmem.testing.conformance"]
    target = tmp_path / "report.md"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, f"{STOCK}:memory", "--only", "listing", "--markdown", str(target)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 1, done.stderr
    assert "FAIL listing.reading-makes-no-namespace" in done.stdout
    assert "@reproduce" in target.read_text()
    done = subprocess.run([*command, f"{STOCK}:reference", "--only", "listing"], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([*command, f"{STOCK}:nobody"], capture_output=True, text=True, cwd=root)
    assert done.returncode == 2
    assert "has no 'nobody'" in done.stdout


def test_embedding_is_exact():
    assert len(embed(["apple"])[0]) == DIMS
    assert cosine("apple", "apple") == pytest.approx(1.0)
    assert cosine("apple", "unapple") == pytest.approx(-1.0)
    assert cosine("apple", "banana") == 0.0
    assert cosine("apple", "apple banana") == pytest.approx(2**-0.5)
    assert all(any(vector) for vector in embed(["", "123", "apple unapple"]))
    with refused(RuntimeError):
        embed(["an unembeddable text"])


def test_refused_lets_other_errors_through():
    with pytest.raises(KeyError), refused(ValueError):
        raise KeyError("k")
    with pytest.raises(AssertionError, match="nothing was raised"), refused(ValueError):
        pass
