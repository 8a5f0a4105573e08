"""Runs checks: each in a thread and an event loop of its own, with a fresh store, under a time limit."""

from __future__ import annotations

import asyncio
import re
import reprlib
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any

from langgraph.store.base import Item, SearchItem

from .capabilities import detect
from .faces import STALL, Face, Worker
from .factories import Factory, StoreFactory
from .helpers import directory, factory_at
from .lab import Lab
from .model import Capabilities, Check, NotOffered, Result, Rule, RuleBroken
from .processes import TIMEOUT
from .registry import all_rules
from .rendering import render, value_of
from .storage import Storage

LIMIT = 90.0
"""Seconds after which a check that has not ended counts as failed: the store did not answer."""
TRIES = 3
"""How often a rule that waits is tried on a machine that was too busy to keep its times."""
TOGETHER = 32
"""How many rules that wait run at the same time."""
PROCESSES = 2
"""How many of those that start processes."""

_WHERE = re.compile(r"/\S*/(site-packages|python3\.\d+)/")
"""Where packages lie on this machine, which is nothing for a report to say."""
DETAIL = 600
"""Characters of a result's detail, at most."""


class _Short(reprlib.Repr):
    """Representations that fit a line; items without their timestamps."""

    def repr1(self, x: Any, level: int) -> str:
        if not isinstance(x, Item):
            return super().repr1(x, level)
        score = f" score={x.score}" if isinstance(x, SearchItem) else ""
        return f"<{'/'.join(map(str, x.namespace))} {x.key} {self.repr1(x.value, level - 1)}{score}>"


_short = _Short()
_short.maxstring = _short.maxother = 160
_short.maxlist = _short.maxtuple = 8
_short.maxdict = 8


def plan(rules: Iterable[Rule] | None = None, only: Sequence[str] = ()) -> list[Check]:
    """Every check of the rules (default: all), whatever a store offers. `only` keeps rules whose id starts with one of the given texts."""
    checks: list[Check] = []
    for rule in all_rules() if rules is None else rules:
        if only and not rule.id.startswith(tuple(only)):
            continue
        for face in ("sync", "async"):
            if rule.shape in ("sync", "async") and rule.shape != face:
                continue
            checks.extend(Check(rule, face, variant, case) for variant in rule.variants for case in rule.cases or ("",))
    return checks


class Conformance:
    """The kit on one factory. Capabilities are found out on first use; every check opens stores of its own."""

    def __init__(self, factory: str | Factory | StoreFactory) -> None:
        if not __debug__:
            raise RuntimeError("the rules are assert statements, and Python runs with -O, which drops them; run it without -O")
        self.factory = factory_at(factory)
        self._capabilities: Capabilities | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the store offers. Raises what the factory raises if it cannot open a store."""
        if self._capabilities is None:
            found: Capabilities = _in_thread(lambda: detect(self.factory), LIMIT + TIMEOUT)
            self._capabilities = found
        return self._capabilities

    def run(self, check: Check) -> Result:
        """The result of one check."""
        missing = self.missing(check)
        if missing:
            return Result(check, "not offered", missing)
        for _ in range(TRIES):
            result, stalled = self._attempt(check)
            if result.outcome != "fail" or not (stalled and check.rule.waits and not check.rule.spawns):
                return result
        return Result(check, "not offered", f"time: something took {STALL} s longer than it should in each of {TRIES} tries; run it again")

    def run_all(self, checks: Sequence[Check] | None = None, progress: Callable[[Result], None] | None = None) -> list[Result]:
        """The results of the checks (default: all), in their order. Those that wait for time to pass run side by side."""
        chosen = plan() if checks is None else list(checks)
        _ = self.capabilities
        done: dict[int, Result] = {}
        tell: Callable[[Result], Any] = progress or bool
        for at, check in enumerate(chosen):
            if not check.rule.waits:
                done[at] = self.run(check)
                tell(done[at])
        waiting = [at for at, check in enumerate(chosen) if check.rule.waits]
        gates = {False: threading.Semaphore(TOGETHER), True: threading.Semaphore(PROCESSES)}

        def wait(at: int) -> None:
            with gates[chosen[at].rule.spawns]:
                done[at] = self.run(chosen[at])
                tell(done[at])

        threads = [threading.Thread(target=wait, args=(at,), daemon=True) for at in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [done[at] for at in range(len(chosen))]

    def missing(self, check: Check) -> str:
        """Why the store does not offer what the check is about, or "" if it does."""
        needs = [check.face, *check.rule.needs, *(["index"] if check.variant == "indexed" else [])]
        for need in needs:
            if not self.capabilities[need].offered:
                return f"{need}: {self.capabilities[need].why}"
        return ""

    def _attempt(self, check: Check) -> tuple[Result, bool]:
        seen: dict[str, Any] = {"stalled": False, "store": None}
        try:
            _in_thread(lambda: self._check(check, seen), LIMIT + 3 * TIMEOUT if check.rule.spawns else LIMIT)
        except NotOffered as reason:
            return Result(check, "not offered", str(reason)), False
        except RuleBroken as broken:
            return Result(check, "fail", str(broken), broken.reproduction), seen["stalled"]
        except BaseException as error:  # noqa: BLE001 - whatever the store raises is the finding
            code = "" if check.rule.shape == "scenario" else render(check, self.factory.name, seen["store"])
            return Result(check, "fail", _explain(error, check), code), seen["stalled"]
        return Result(check, "pass"), False

    async def _check(self, check: Check, seen: dict[str, Any]) -> None:
        rule = check.rule
        if rule.shape == "scenario":
            with directory() as path:
                await rule.body(Lab(self.factory, check, path))
            return
        case = {name: value_of(value) for name, value in rule.cases.get(check.case, {}).items()}
        index = (rule.index or {}) if check.variant == "indexed" else None
        worker = Worker()
        try:
            async with AsyncExitStack() as stack:
                storage = Storage(self.factory, stack.enter_context(directory()), stack, index=index, ttl=rule.ttl)
                store = seen["store"] = await storage.open()
                if rule.shape == "both":
                    face = Face(store, check.face, worker, storage)
                    try:
                        await rule.body(face, **case)
                    finally:
                        seen["stalled"] = face.stalled
                elif rule.shape == "sync":
                    await worker.run(lambda: rule.body(store, **case))
                else:
                    await rule.body(store, **case)
        finally:
            worker.stop()


def _in_thread(start: Callable[[], Any], limit: float) -> Any:
    """The coroutine's result, run to its end in a new daemon thread with a loop of its own. Raises TimeoutError after `limit` seconds."""
    future: Future[Any] = Future()

    def serve() -> None:
        try:
            result = asyncio.run(start())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=serve, daemon=True, name="conformance-check").start()
    try:
        return future.result(limit)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"no answer within {limit:.0f} s") from None


def _explain(error: BaseException, check: Check) -> str:
    """What went wrong, in two lines: the statement of the rule, and the values it saw or the exception."""
    frames = [f for f in traceback.walk_tb(error.__traceback__) if f[0].f_code is check.rule.body.__code__]
    said = str(error).strip().splitlines()
    if not isinstance(error, AssertionError):
        return f"{type(error).__name__}: {_WHERE.sub('', said[0])[:300] if said else ''}"
    if said:
        return said[0][:300]
    if not frames:
        return "AssertionError"
    frame, line = frames[-1]
    names = frame.f_code.co_varnames[frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount :]
    seen = [f"{name} = {_short.repr(frame.f_locals[name])}" for name in names if name in frame.f_locals]
    statement = traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name).line or ""
    return "; ".join([f"false: {statement.strip().removeprefix('assert ')}", *seen])[:DETAIL]
