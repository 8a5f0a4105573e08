"""Many namespaces in one process: what is kept of them in memory keeps to the bound, and each one is as it was when it is asked again."""

from pathlib import Path

from langgraph_fluxmem import FluxMem

MANY, BOUND = 2_000, 64


def test_two_thousand_namespaces_keep_to_the_bound(tmp_path: Path) -> None:
    names = [("tenant", str(number)) for number in range(MANY)]
    with FluxMem.open(tmp_path, chroma="off", open_namespaces=BOUND, text_cache_mb=1) as mem:
        for name in names:
            mem.remember(f"the door of {name[1]} is red", namespace=name)
        kept = mem.engine.projections
        held = (kept._followers, kept._graphs, mem.engine._learned, mem.engine._branches)
        for name in names:
            assert [fact.content for fact in mem.recall("which door?", namespace=name).facts] == [f"the door of {name[1]} is red"]
            assert max(map(len, held)) <= BOUND
        for name in names[: BOUND + 1]:
            kept.graph(name)
        assert [len(each) for each in held] == [BOUND] * 4
        assert mem.recall("which door?", namespace=names[0]).facts[0].content == "the door of 0 is red"
        assert len(mem.engine.ledger.namespaces()) == MANY
