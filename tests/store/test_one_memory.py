"""Facts and items are one memory; what a put records; undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore, PutOp
from typing_extensions import TypedDict

from langgraph_fluxmem import FluxMem, FluxMemStore

NS = ("acme", "ada")


def test_an_item_with_text_is_recalled_as_a_fact(mem: FluxMem) -> None:
    store = FluxMemStore(mem, index={"fields": ["text", "tags[*]"]})
    store.put(NS, "plan", {"text": "Ada is on the team plan", "tags": ["billing"], "n": 1})
    store.put(NS, "silent", {"text": "Ada has a cat"}, index=False)
    facts = mem.recall("which plan is Ada on?", namespace=NS).facts
    assert [fact.metadata for fact in facts] == [{"key": "plan", "value": {"text": "Ada is on the team plan", "tags": ["billing"], "n": 1}}]
    assert facts[0].content == "Ada is on the team plan\nbilling"


def test_a_fact_is_read_through_the_store(mem: FluxMem) -> None:
    (fact,) = mem.remember(Document("Ada is on the team plan", metadata={"source": "crm", "page": 3}), namespace=NS)
    key = fact.partition(":")[0]
    value = {"content": "Ada is on the team plan", "metadata": {"source": "crm", "page": 3}}
    assert mem.store.get(NS, key).value == value
    (found,) = mem.store.search(NS, query="team plan", filter={"metadata.page": 3})
    assert (found.key, found.value) == (key, value)
    assert found.score is not None
    assert mem.store.list_namespaces() == [NS]


def test_deleting_a_fact_through_the_store_deletes_it(mem: FluxMem) -> None:
    fact, _ = mem.remember(["Ada is on the team plan", "Ada has a cat"], namespace=NS)
    mem.store.delete(NS, fact.partition(":")[0])
    assert [fact.content for fact in mem.recall("Ada plan", namespace=NS).facts] == ["Ada has a cat"]
    assert mem.engine.ledger.load(NS, [fact])[fact].body is None


def test_an_overwritten_fact_becomes_an_item(mem: FluxMem) -> None:
    (fact,) = mem.remember("Ada is on the team plan", namespace=NS)
    key = fact.partition(":")[0]
    mem.store.put(NS, key, {"text": "Ada left"})
    assert [item.value for item in mem.store.search(NS)] == [{"text": "Ada left"}]
    assert [fact.metadata for fact in mem.recall("Ada", namespace=NS).facts] == [{"key": key, "value": {"text": "Ada left"}}]


def test_the_same_remembered_again_after_its_deletion(mem: FluxMem) -> None:
    (fact,) = mem.remember("Ada is on the team plan", namespace=NS)
    mem.store.delete(NS, fact.partition(":")[0])
    mem.remember("Ada is on the team plan", namespace=NS)
    assert [fact.content for fact in mem.recall("plan", namespace=NS).facts] == ["Ada is on the team plan"]


def test_episodes_are_no_items(mem: FluxMem) -> None:
    from langgraph_fluxmem import Episode, Step

    mem.commit(Episode(task="find the plan", steps=(Step(observation="a desk", action="open drawer"),), outcome="success"), namespace=NS)
    assert mem.store.search(()) == []
    assert mem.store.list_namespaces() == []


class State(TypedDict):
    text: str


def test_a_put_in_a_node_says_where_it_was_made_and_can_be_undone(mem: FluxMem) -> None:
    def node(state: State, *, store: BaseStore) -> dict[str, Any]:
        store.put(NS, "note", {"text": state["text"]})
        return {}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph = builder.compile(checkpointer=InMemorySaver(), store=mem.store)
    for text in ("first", "second"):
        graph.invoke({"text": text}, {"configurable": {"thread_id": f"t-{text}"}})
    newest, before = mem.engine.ledger.operations(NS)
    assert (newest.kind, newest.provenance.thread_id) == ("put", "t-second")
    assert newest.provenance.checkpoint_id
    assert newest.provenance.task_id
    mem.undo(newest.id)
    assert mem.store.get(NS, "note").value == {"text": "first"}
    assert [item.value for item in mem.store.search(NS)] == [{"text": "first"}]
    mem.undo(before.id)
    assert mem.store.search(NS) == []


async def test_an_async_put_in_a_node_says_where_it_was_made(mem: FluxMem) -> None:
    async def node(state: State, *, store: BaseStore) -> dict[str, Any]:
        await store.aput(NS, "note", {"text": state["text"]})
        return {}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph = builder.compile(checkpointer=InMemorySaver(), store=mem.store)
    await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "t"}})
    (operation,) = mem.engine.ledger.operations(NS)
    assert operation.provenance.thread_id == "t"


def test_items_as_of_an_earlier_position(mem: FluxMem) -> None:
    mem.store.put(NS, "note", {"n": 1})
    then = mem.engine.ledger.head()
    mem.store.put(NS, "note", {"n": 2})
    assert [row.body for row in mem.engine.ledger.nodes(NS, at=then)] == [{"value": {"n": 1}}]


def test_a_batch_over_namespaces_is_one_transaction(mem: FluxMem) -> None:
    from langgraph_fluxmem.testing import faults

    ops = [PutOp((f"n{number}",), "k", {"n": number}) for number in range(5)]
    with faults.armed("ledger.after_operation", "raise", at=3), pytest.raises(faults.FaultError):
        mem.store.batch(ops)
    assert mem.store.list_namespaces() == []
    assert mem.engine.ledger.head() == 0
    mem.store.batch(ops)
    assert len(mem.store.list_namespaces()) == 5


def test_two_processes_worth_of_stores_see_each_other(tmp_path: Path) -> None:
    """Two engines on one directory, as two processes have them."""
    from langgraph_fluxmem.config import Config
    from langgraph_fluxmem.embeddings import resolve
    from langgraph_fluxmem.engine import Engine
    from langgraph_fluxmem.ledger import Ledger

    embedder = resolve(None)
    mems: list[FluxMem] = []
    for _ in range(2):
        ledger = Ledger.open(tmp_path / "m")
        ledger.check_embedding(embedder.fingerprint, embedder.dims)
        mems.append(FluxMem(Engine(ledger, embedder, Config.of(chroma="off"), tmp_path / "m"), lambda: None))
    one, other = (mem.store for mem in mems)
    one.put(NS, "k", {"text": "apple"})
    assert [item.value for item in other.search((), query="apple")] == [{"text": "apple"}]
    other.put(NS, "k", {"text": "banana"})
    assert [item.value for item in one.search(NS)] == [{"text": "banana"}]
    other.delete(NS, "k")
    assert one.search(()) == []
    assert one.list_namespaces() == []
    for mem in mems:
        mem.engine.close()


def test_nothing_is_left_to_mend(mem: FluxMem) -> None:
    """After puts, overwrites, deletes, facts and undo every projection is what the ledger says."""
    facts = mem.remember(["Ada is on the team plan", "Ada has a cat", "Bob pays"], namespace=NS)
    activation = mem.recall("Ada", namespace=NS)
    from langgraph_fluxmem import Feedback

    mem.learn(activation, Feedback(outcome="success", used=[facts[0]]))
    for number in range(20):
        mem.store.put(NS, str(number % 7), {"text": f"note {number}"})
    mem.store.delete(NS, "3")
    mem.store.delete(NS, facts[1].partition(":")[0])
    mem.store.put(NS, facts[2].partition(":")[0], {"text": "Bob left"})
    mem.undo(mem.engine.ledger.operations(NS)[0].id)
    mem.store.search((), query="note")
    assert mem.verify() == []
    assert len(mem.store.search(NS, limit=50)) == 6 + 2
    assert mem.recall("Bob", namespace=NS).facts[0].content == "Bob pays"
