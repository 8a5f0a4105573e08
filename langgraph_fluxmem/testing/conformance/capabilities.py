"""What a store offers, found out by asking it: the factory's parameters, the store's attributes, and a call that answers or refuses."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.store.base import BaseStore, GetOp

from .faces import Face, Worker
from .factories import StoreFactory
from .helpers import directory, opened
from .model import Capabilities, FaceName, Offer


async def detect(factory: StoreFactory) -> Capabilities:
    """Every `Capability` with an `Offer`. Raises what the factory raises if it cannot open a plain store at all."""
    offers: dict[str, Offer] = {}
    async with opened(factory) as store:
        worker = Worker()
        try:
            for name in ("sync", "async"):
                offers[name] = await _answers(Face(store, name, worker))
            if not any(offer.offered for offer in offers.values()):
                raise TypeError(f"{factory.name} answers neither batch() nor abatch(): {offers['sync'].why}; {offers['async'].why}")
            face = Face(store, working_face(offers), worker)
            offers["filters"] = await _filters(face)
            offers["setup"] = _attribute(store, "setup")
            offers["sweep"] = _attribute(store, "sweep_ttl")
        finally:
            worker.stop()
    offers["index"] = await _option(factory, "index", {}, _search)
    offers["ttl"] = await _option(factory, "ttl", {"default_ttl": None}, _keeps)
    if not offers["ttl"].offered:
        offers["sweep"] = Offer(offered=False, why="it has no expiry to sweep")
    offers["no-ttl"] = Offer(offered=not offers["ttl"].offered, why=offers["ttl"].why)
    offers["persistence"] = (
        Offer(offered=True, why="the factory takes path")
        if "path" in factory.options
        else Offer(offered=False, why="the factory takes no argument `path`")
    )
    offers["multi-process"] = await _processes(factory, offers)
    return offers


def working_face(offers: Capabilities) -> FaceName:
    """The synchronous face if there is one, else the asynchronous."""
    return "sync" if offers["sync"].offered else "async"


async def _answers(face: Face) -> Offer:
    method = "batch" if face.name == "sync" else "abatch"
    try:
        await face.batch([GetOp(("conformance",), "probe")])
    except NotImplementedError as error:
        return Offer(offered=False, why=f"{method}() is not implemented: {_first_line(error)}")
    return Offer(offered=True, why=f"{method}() answers")


async def _filters(face: Face) -> Offer:
    try:
        await face.search(("conformance",), filter={"probe": 1})
    except NotImplementedError as error:
        return Offer(offered=False, why=f"search(filter=...) is not implemented: {_first_line(error)}")
    return Offer(offered=True, why="search(filter=...) answers")


def _attribute(store: BaseStore, name: str) -> Offer:
    found = callable(getattr(store, name, None))
    return Offer(offered=found, why=f"{type(store).__name__} has {'' if found else 'no '}{name}()")


async def _option(factory: StoreFactory, option: str, config: dict[str, Any], probe: Callable[[Face], Awaitable[Offer | None]]) -> Offer:
    """Offered if the factory takes the option, and the store opens with it and answers the probe."""
    if option not in factory.options:
        return Offer(offered=False, why=f"the factory takes no argument `{option}`")
    worker = Worker()
    try:
        async with opened(factory, **{option: config}) as store:
            for name in ("sync", "async"):
                face = Face(store, name, worker)
                if (await _answers(face)).offered:
                    return await probe(face) or Offer(offered=True, why=f"the factory takes {option}, and the store answers with it")
    except Exception as error:  # noqa: BLE001 - why it is not offered is what the report says
        return Offer(offered=False, why=f"with {option} it raises {type(error).__name__}: {_first_line(error)}")
    finally:
        worker.stop()
    return Offer(offered=False, why=f"with {option} it answers neither batch() nor abatch()")


async def _search(face: Face) -> Offer | None:
    await face.put(("conformance",), "probe", {"text": "apple"})
    await face.search(("conformance",), query="apple")
    return None


async def _keeps(face: Face) -> Offer | None:
    try:
        await face.put(("conformance",), "probe", {"v": 1}, ttl=1.0)
    except NotImplementedError as error:
        return Offer(offered=False, why=f"put(ttl=...) is not implemented: {_first_line(error)}")
    return None


async def _processes(factory: StoreFactory, offers: Capabilities) -> Offer:
    """Offered if a second process can open the storage while this one holds it open."""
    from .processes import other_process  # noqa: PLC0415 - only needed where there is persistence

    if not offers["persistence"].offered:
        return Offer(offered=False, why="the store does not persist: " + offers["persistence"].why)
    if factory.spec is None:
        return Offer(offered=False, why="another process cannot import the factory: define it at the top level of a module")
    if not hasattr(signal, "SIGKILL"):
        return Offer(offered=False, why="this operating system has no SIGKILL")
    with directory() as path:
        async with factory.open(path=path):
            try:
                await other_process(factory.spec, path, "pass")
            except RuntimeError as error:
                return Offer(offered=False, why=f"a second process cannot open the storage: {_first_line(error)}")
    return Offer(offered=True, why="a second process opens the storage beside the first")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
