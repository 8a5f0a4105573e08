"""Moving in: from any LangGraph store, and from mem0, by function and by command; twice is once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from langgraph.store.memory import InMemoryStore

from langgraph_fluxmem import FluxMem, InvalidContentError, UnresolvedNamespaceError
from langgraph_fluxmem.cli import main
from langgraph_fluxmem.migrating import from_mem0, from_store

MEMORIES = [
    {"id": "1", "memory": "Ada is on the team plan.", "user_id": "ada", "metadata": {"kind": "plan"}, "created_at": "2026-05-07T05:31:56Z"},
    {"id": "2", "memory": "Bob prefers tea.", "user_id": "bob", "metadata": None, "hash": "x"},
]


def test_every_item_of_a_store_moves_once(tmp_path: Path) -> None:
    old = InMemoryStore()
    for number in range(250):
        old.put(("acme", "ada"), f"k{number}", {"text": f"item {number}", "list": [number, None]})
    old.put(("acme", "ada", "deeper"), "k0", {"text": "below"})
    told: list[int] = []
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert from_store(old, mem.store, told=told.append) == 251
        assert told == sorted(told)
        assert told[-1] == 251
        position = mem.log(limit=1)[0].position
        assert from_store(old, mem.store) == 251
        for namespace in old.list_namespaces():
            for item in old.search(namespace, limit=1000):
                found = mem.store.get(item.namespace, item.key)
                assert found is not None
                assert found.value == item.value
        assert len(mem.store.search(("acme",), limit=1000)) == 251
        assert mem.log(limit=1)[0].position >= position


def test_memories_of_mem0_become_facts_of_their_owners(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert from_mem0(MEMORIES, mem) == 2
        assert from_mem0(MEMORIES, mem) == 2
        (fact,) = mem.recall("which plan?", namespace=("ada", "memories")).facts
        assert fact.content == "Ada is on the team plan."
        assert fact.metadata == {"kind": "plan", "user_id": "ada", "mem0_id": "1", "time": "2026-05-07T05:31:56Z"}
        assert [fact.content for fact in mem.recall("tea", namespace=("bob", "memories")).facts] == ["Bob prefers tea."]
        with pytest.raises(InvalidContentError, match="memory 0 has no text"):
            from_mem0([{"text": "x"}], mem)
        with pytest.raises(UnresolvedNamespaceError, match="user_id"):
            from_mem0([{"memory": "whose?"}], mem)


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "memories.json"
    file.write_text(json.dumps({"results": MEMORIES}))
    place = str(tmp_path / "m")
    assert main(["migrate", "mem0", str(file), place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"moved": 2, "directory": place}
    (tmp_path / "someapp.py").write_text(
        "from langgraph.store.memory import InMemoryStore\ndef old():\n    store = InMemoryStore()\n    store.put(('a',), 'k', {'t': 'v'})\n    return store\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["migrate", "store", "someapp:old", place]) == 0
    assert "moved 1" in capsys.readouterr().out
    file.write_text("{")
    assert main(["migrate", "mem0", str(file), place]) == 1
    assert "no JSON" in capsys.readouterr().err
    assert main(["migrate", "store", "nothing:here", place]) == 1
    assert "names no store" in capsys.readouterr().err
