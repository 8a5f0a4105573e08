"""One memory, one real SQLite checkpointer and a graph between them, called synchronously or asynchronously by the same story."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import StateGraph

from langgraph_fluxmem import FluxMem

from .agent import stored, thread, visible

Face = Literal["sync", "async"]


@dataclass(frozen=True)
class Seen:
    """How many episodes are stored, how many the branch that went on sees, and how many any other thread sees."""

    stored: int
    visible: int
    elsewhere: int


def at_once(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story whose calls are all synchronous, without an event loop."""
    try:
        story.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a synchronous story awaited something")


class World:
    """`place` is a directory; `memory/` and `checkpoints.sqlite` are in it."""

    def __init__(self, place: Path, face: Face) -> None:
        self.place, self.face = place, face
        self._things = AsyncExitStack()

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._things.aclose()

    async def memory(self, **options: Any) -> FluxMem:
        """The memory, without Chroma."""
        if self.face == "sync":
            return self._things.enter_context(FluxMem.open(self.place / "memory", chroma="off", **options))
        return await self._things.enter_async_context(await FluxMem.aopen(self.place / "memory", chroma="off", **options))

    async def saver(self, name: str = "checkpoints") -> Any:
        """The checkpointer of this face."""
        address = str(self.place / f"{name}.sqlite")
        if self.face == "sync":
            return self._things.enter_context(SqliteSaver.from_conn_string(address))
        return await self._things.enter_async_context(AsyncSqliteSaver.from_conn_string(address))

    async def invoke(self, app: Any, given: Any, config: Any = None, **more: Any) -> dict[str, Any]:
        config = thread() if config is None else config
        return app.invoke(given, config, **more) if self.face == "sync" else await app.ainvoke(given, config, **more)

    async def fails(self, error: type[BaseException], app: Any, given: Any, config: Any = None, **more: Any) -> None:
        """An invocation that ends in an error."""
        try:
            await self.invoke(app, given, config, **more)
        except error:
            return
        raise AssertionError(f"no {error.__name__}")

    async def history(self, app: Any, config: Any = None) -> list[Any]:
        """Snapshots, newest first."""
        config = thread() if config is None else config
        if self.face == "sync":
            return list(app.get_state_history(config))
        return [snapshot async for snapshot in app.aget_state_history(config)]

    async def before(self, app: Any, node: str, config: Any = None, **values: Any) -> Any:
        """Config of the newest checkpoint at which `node` is next and the state has these values."""
        for snapshot in await self.history(app, config):
            if snapshot.next == (node,) and all(snapshot.values.get(key) == value for key, value in values.items()):
                return snapshot.config
        raise AssertionError(f"no checkpoint before {node}")

    async def update(self, app: Any, config: Any, values: dict[str, Any] | None, as_node: str) -> Any:
        if self.face == "sync":
            return app.update_state(config, values, as_node=as_node)
        return await app.aupdate_state(config, values, as_node=as_node)

    async def state(self, app: Any, config: Any = None) -> dict[str, Any]:
        config = thread() if config is None else config
        return (app.get_state(config) if self.face == "sync" else await app.aget_state(config)).values

    @asynccontextmanager
    async def streaming(self, app: Any, given: Any, config: Any = None) -> AsyncIterator[AsyncIterator[Any]]:
        """A stream of updates that is closed at the end of the block, read out or not."""
        config = thread() if config is None else config
        if self.face == "async":
            stream = app.astream(given, config, stream_mode="updates")
            try:
                yield stream
            finally:
                await stream.aclose()
            return
        chunks = app.stream(given, config, stream_mode="updates")

        async def each() -> AsyncIterator[Any]:
            for chunk in chunks:
                yield chunk

        try:
            yield each()
        finally:
            chunks.close()

    def seen(self, mem: FluxMem, state: Any) -> Seen:
        return Seen(len(stored(mem)), visible(mem, state), visible(mem, {}))


After = Callable[[Any, Any], Any]


def around(node: Runnable[Any, Any], after: After) -> Runnable[Any, Any]:
    """A node with both faces; `after` gets what the node got and what it returned, and may raise or return something else."""

    def sync(state: Any) -> Any:
        return after(state, node.invoke(state))

    async def asynchronous(state: Any) -> Any:
        return after(state, await node.ainvoke(state))

    return RunnableLambda(sync, afunc=asynchronous)


def wrapped(builder: StateGraph, name: str, after: After = lambda state, update: update, **options: Any) -> StateGraph:
    """The builder with its node `name` wrapped, and added anew with `options`."""
    node = builder.nodes.pop(name).runnable
    builder.add_node(name, around(node, after), **options)
    return builder


def fails_after(times: int, error: BaseException | None = None) -> After:
    """Raise the first `times` calls, when the node has done its work."""
    left = times

    def after(state: Any, update: Any) -> Any:
        nonlocal left
        del state
        if left:
            left -= 1
            raise error or ConnectionError("lost after the work was done")
        return update

    return after
