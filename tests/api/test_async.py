"""Async calls: nothing blocks the event loop, cancelled calls leave nothing half done, both faces give the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

from blockbuster import blockbuster_ctx

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step

from ..nodes.agent import build
from ..nodes.test_loop import start

EPISODE = Episode(task="find the key", steps=(Step(observation="a room", action="take key", progress=1.0),), outcome="success", id="e1")


async def test_nothing_blocks_the_event_loop(tmp_path: Path) -> None:
    mem = await FluxMem.aopen(tmp_path / "m", chroma="off")
    app = build(mem).compile()
    with blockbuster_ctx():
        await mem.aremember(["ada is on the team plan", "bob is on no plan"])
        activation = await mem.arecall("plan")
        again = await mem.arefine(activation, Feedback(outcome="failure", used=[activation.facts[0].id]))
        assert again.round == 1
        learned = await mem.alearn(activation, Feedback(outcome="success", used=[activation.facts[0].id]))
        await mem.acommit(EPISODE)
        advised = (await mem.arecall("find the key")).advise(["take key"])
        assert advised[0].score > 0
        await mem.aundo(learned.operation)
        assert len(await mem.alog()) == 4
        await app.ainvoke(start(["open red door", "open green door"]))
        assert await mem.averify() == []
    await mem.aclose()


async def test_a_cancelled_call_leaves_all_or_nothing(tmp_path: Path) -> None:
    async with await FluxMem.aopen(tmp_path / "m", chroma="off") as mem:
        for number in range(30):
            call = asyncio.ensure_future(mem.aremember([f"pair {number} one", f"pair {number} two"]))
            await asyncio.sleep(0.0005 * (number % 6))
            call.cancel()
            await asyncio.wait([call])  # cancelled, or done before that
        await mem.aremember("the end")
        kept = [row.body["content"] for row in mem.engine.ledger.nodes(("memories",)) if row.body]
        pairs = {text[:-4] for text in kept if text.startswith("pair")}
        assert len(kept) == 2 * len(pairs) + 1
        assert mem.verify() == []


async def test_many_tasks_of_one_loop(tmp_path: Path) -> None:
    async with await FluxMem.aopen(tmp_path / "m", chroma="off") as mem:
        await asyncio.gather(*(mem.aremember(f"fact number {number}") for number in range(50)))
        found = await asyncio.gather(*(mem.arecall(f"fact number {number}", k=1) for number in range(50)))
        assert [activation.facts[0].content for activation in found] == [f"fact number {number}" for number in range(50)]


async def test_both_faces_give_the_same(tmp_path: Path) -> None:
    facts = ["ada is on the team plan", "bob is on no plan", "the plan costs ten euros"]
    with FluxMem.open(tmp_path / "sync", chroma="off") as one:
        async with await FluxMem.aopen(tmp_path / "async", chroma="off") as other:
            assert one.remember(facts) == await other.aremember(facts)
            assert one.commit(EPISODE) == await other.acommit(EPISODE)
            ours, theirs = one.recall("which plan?"), await other.arecall("which plan?")
            assert ours.facts == theirs.facts
            assert ours.episodes == theirs.episodes
            assert ours.context == theirs.context
