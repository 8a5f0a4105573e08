"""The door game in a real `langgraph dev`, called as a `RemoteGraph`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command


from .agent import stored, thread
from .case import Case, case
from .cases_branching import TWO
from .cases_running import start
from .world import Seen, World

CASES: list[Case] = []
SERVED = '''
"""The door game: a task that begins with "ask" waits for an answer, one that begins with "fail" fails once, when its commit is done."""

import os
from pathlib import Path

from langgraph.types import interrupt

from langgraph_fluxmem import FluxMem
from tests.nodes.agent import build
from tests.nodes.world import wrapped

HERE = Path(os.environ["FLUXMEM_PATH"])


def after(state, update):
    mark = HERE.with_name("failed")
    if state["task"].startswith("fail") and not mark.exists():
        mark.touch()
        raise ConnectionError("lost after the work was done")
    return update


def gate(state):
    return {"plan": [interrupt("sure?")]} if state["task"].startswith("ask") else {}


graph = wrapped(build(FluxMem.open(HERE, chroma="off"), before_commit=gate), "commit_episode", after).compile()
'''


@contextlib.contextmanager
def served(world: World) -> Iterator[Any]:
    from ..integration.test_langgraph_dev import serving

    (world.place / "graphs").mkdir()
    (world.place / "graphs" / "door.py").write_text(SERVED, "utf-8")
    (world.place / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": {"door": "./graphs/door.py:graph"}}), "utf-8")
    with serving(world.place) as server:
        yield server


@case(
    CASES,
    "server",
    "`langgraph dev` called as a `RemoteGraph`: two episodes in a thread, and the second one's first checkpoint replayed; an interrupt "
    "resumed in another thread; a run that failed after its commit resumed in a third",
    5,
    4,
    slow=True,
)
async def server(world: World) -> Seen:
    with served(world) as running:
        app = RemoteGraph("door", url=f"http://127.0.0.1:{running.port}")

        def new() -> dict[str, Any]:
            return thread(running.ask("/threads", {})["thread_id"])

        one, asked, failing = new(), new(), new()
        await world.invoke(app, start(), one)
        await world.invoke(app, start(*TWO), one)
        before = (await world.before(app, "retrieve", one, turn=0))["configurable"]["checkpoint_id"]
        replay = {"assistant_id": "door", "input": None, "checkpoint_id": before}  # a RemoteGraph does not replay
        state = running.ask(f"/threads/{one['configurable']['thread_id']}/runs/wait", replay)
        await world.invoke(app, start(task="ask first"), asked)
        await world.invoke(app, Command(resume="yes"), asked)
        with contextlib.suppress(Exception):
            await world.invoke(app, start(task="fail once"), failing)
        assert (world.place / "failed").exists()
        await world.invoke(app, None, failing)
        if world.face == "sync":
            app.sync_client.close()
        else:
            await app.client.aclose()
    mem = await world.memory()
    assert sorted(row.body["task"] for row in mem.engine.ledger.nodes(("memories",), kinds=("episode",)))[:2] == ["ask first", "fail once"]
    assert {commit.provenance.run_id is not None for commit in stored(mem)} == {True}
    return world.seen(mem, state)
