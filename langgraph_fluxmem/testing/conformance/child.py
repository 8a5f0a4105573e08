"""The program of the processes in `processes.py`; it reads one order, as JSON, from stdin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langgraph.store.base import Op, PutOp

from .faces import Face, Worker
from .factories import StoreFactory, load_factory


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _run(factory: StoreFactory, order: dict[str, Any]) -> None:
    async with factory.open(path=Path(order["path"]), index=order["index"]) as store:
        names: dict[str, Any] = {"PutOp": PutOp}
        if "await" in order["code"]:
            body = "\n".join(f"    {line}" for line in order["code"].splitlines())
            exec(f"async def main(store):\n{body}", names)  # noqa: S102 - the kit's own code
            await names["main"](store)
        else:
            await asyncio.to_thread(exec, order["code"], {**names, "store": store})


def _ops(namespace: tuple[str, ...], puts: int, *, kill: bool = False) -> Iterator[Op]:
    for n in range(puts):
        yield PutOp(namespace, str(n), {"n": n})
    if kill:
        _kill()


async def _fall(factory: StoreFactory, order: dict[str, Any]) -> None:
    """Put, be answered, then die inside a batch. Written to stdout: "k" when the put was answered, "a" if the batch was, too."""
    async with factory.open(path=Path(order["path"])) as store:
        face = Face(store, order["face"], Worker())
        await face.put(("kept",), "k", {"n": 0})
        os.write(1, b"k")
        if order["how"] == "iterating":
            await face.batch(_ops(("crash",), order["puts"], kill=True))
        else:
            before = time.monotonic()
            await face.batch(_ops(("measured",), order["puts"]))
            delay = (time.monotonic() - before) * order["fraction"]
            ops = list(_ops(("crash",), order["puts"]))
            threading.Timer(delay, _kill).start()
            await face.batch(ops)
        os.write(1, b"a")
        await asyncio.sleep(60)


def main() -> None:
    order = json.loads(sys.stdin.read())
    sys.path[:] = list(dict.fromkeys([*sys.path, *order["sys.path"]]))
    factory = load_factory(order["spec"])
    if order["do"] == "run":
        asyncio.run(_run(factory, order))
    else:
        asyncio.run(_fall(factory, order))


if __name__ == "__main__":
    main()
