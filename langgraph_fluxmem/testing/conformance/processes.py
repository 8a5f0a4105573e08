"""Other processes that open the same storage: one that runs a piece of code, and one that is killed in the middle of a batch."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .model import FaceName

TIMEOUT = 120.0
"""Seconds a child process may take, interpreter start and imports included."""


async def other_process(spec: str, path: Path, code: str, *, index: Mapping[str, Any] | None = None) -> str:
    """Run `code` in a new process, with `store` opened at `path`; what it printed.

    `code` is asynchronous if it says `await`, else it runs in a thread beside the store's event loop. Raises RuntimeError with the last
    line of what the process wrote to stderr, if it failed.
    """
    order = {"do": "run", "spec": spec, "path": str(path), "code": code, "index": None if index is None else dict(index)}
    status, out, err = await _child(order)
    if status:
        raise RuntimeError((err.strip().splitlines() or [f"a second process ended with status {status}"])[-1])
    return out.strip()


async def crash(
    spec: str, path: Path, *, face: FaceName, how: Literal["iterating", "timed"], puts: int = 300, fraction: float = 0.5
) -> tuple[bool, bool]:
    """Kill a process (SIGKILL) inside `batch` of `puts` puts to the namespace ("crash",).

    `how` is "iterating": the kill comes from the iterable of operations, after the last one was handed over; or "timed": after
    `fraction` of the time the same batch had taken just before. Before it, {"n": 0} was put to ("kept",), "k". Returns whether that put
    was answered, and whether the batch was answered before the kill came. Raises RuntimeError if the process ended in another way.
    """
    order = {"do": "crash", "spec": spec, "path": str(path), "face": face, "how": how, "puts": puts, "fraction": fraction}
    status, out, err = await _child(order)
    if status != -signal.SIGKILL:
        raise RuntimeError((err.strip().splitlines() or [f"the process ended with status {status} before it was killed"])[-1])
    return "k" in out, "a" in out


async def _child(order: dict[str, Any]) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"{__package__}.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    message = json.dumps({**order, "sys.path": sys.path}).encode()
    try:
        out, err = await asyncio.wait_for(process.communicate(message), TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RuntimeError(f"a second process did not end within {TIMEOUT:.0f} s") from None
    assert process.returncode is not None
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
