"""Named fault points: where a test makes the library fail, stall or die on purpose.

Code calls `point("ledger.before_commit")` where a fault is of interest; unless that point is armed the call costs one dictionary look-up.
`switch(name)` asks whether a deliberate defect is turned on. In a subprocess the environment variable ``FLUXMEM_FAULT`` arms them:

    FLUXMEM_FAULT="ledger.before_commit:kill@3,ledger.ack_before_commit:on"

A specification is ``name:action``, with ``@n`` for "at the nth hit, once". Actions: ``raise`` (FaultError), ``kill`` (SIGKILL to this
process), ``delay=SECONDS``, ``full`` (the disk has no space left), ``on`` (a switch).

Points of the ledger, in the order a write meets them: ``ledger.before_begin``, ``ledger.after_operation`` (the operation's row is
written, its edits are not), ``ledger.after_writes`` (everything is written), ``ledger.before_commit``, ``ledger.after_commit``,
``ledger.before_ack``. Switch: ``ledger.ack_before_commit`` acknowledges before COMMIT, a defect that the durability test must detect.

Points of compaction, in order: ``compact.after_horizon``, ``compact.after_namespace`` (once for each), ``compact.before_clean``,
``compact.after_vacuum`` (SQLite: the write-ahead log still holds all of it), ``compact.before_chroma``, ``compact.after_chroma``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

Action = Callable[[], None]


class FaultError(RuntimeError):
    """Raised by a fault point that is armed with ``raise``."""


@dataclass(slots=True)
class _Armed:
    action: Action
    at: int | None
    hits: int = 0


_lock = threading.Lock()
_armed: dict[str, _Armed] = {}


def _action(name: str, text: str) -> Action:
    verb, _, argument = text.partition("=")

    def fail() -> None:
        raise FaultError(f"fault point {name!r}")

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def nothing() -> None:
        return

    actions: dict[str, Action] = {
        "raise": fail,
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "delay": lambda: time.sleep(float(argument or 0)),
        "full": full,
        "on": nothing,
    }
    if verb not in actions:
        raise ValueError(f"fault {name!r} has action {text!r}; expected one of {', '.join(sorted(actions))}")
    return actions[verb]


def arm(name: str, action: str | Action = "raise", *, at: int | None = None) -> None:
    """Arm a fault point or turn a switch on. `at`: act at the nth hit only (then it is spent); default: at every hit."""
    with _lock:
        _armed[name] = _Armed(_action(name, action) if isinstance(action, str) else action, at)


def disarm(name: str | None = None) -> None:
    """Disarm one point, or all of them."""
    with _lock:
        if name is None:
            _armed.clear()
        else:
            _armed.pop(name, None)


@contextlib.contextmanager
def armed(name: str, action: str | Action = "raise", *, at: int | None = None) -> Generator[None]:
    """`arm` for the length of a block."""
    arm(name, action, at=at)
    try:
        yield
    finally:
        disarm(name)


def point(name: str) -> None:
    """A place where a fault may happen; does nothing unless armed."""
    if not _armed:
        return
    with _lock:
        armed = _armed.get(name)
        if armed is None:
            return
        armed.hits += 1
        act = armed.at is None or armed.hits == armed.at
    if act:
        armed.action()


def switch(name: str) -> bool:
    """Whether a deliberate defect is turned on."""
    return name in _armed


def arm_from_environment(text: str) -> None:
    """Arm what a ``FLUXMEM_FAULT`` specification names.

    Raises:
        ValueError: the specification is not ``name:action[@n][,...]``.
    """
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, action = part.partition(":")
        if not colon:
            raise ValueError(f"FLUXMEM_FAULT holds {part!r}; expected name:action, e.g. ledger.before_commit:kill@3")
        action, _, at = action.partition("@")
        arm(name, action, at=int(at) if at else None)


arm_from_environment(os.environ.get("FLUXMEM_FAULT", ""))
