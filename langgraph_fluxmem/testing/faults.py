"""Named fault points: where a test makes the library fail, stall or die on purpose.

Code calls `point("ledger.before_commit")` where a fault is of interest; unless that point is armed the call costs one dictionary look-up.
`switch(name)` asks whether a deliberate defect is turned on. In a subprocess the environment variable ``FLUXMEM_FAULT`` arms them:

    FLUXMEM_FAULT="ledger.before_commit:kill@3,ledger.ack_before_commit:on"

A specification is ``name:action``, with ``@n`` for "at the nth hit, once". Actions: ``raise`` (FaultError), ``kill`` (SIGKILL to this
process), ``delay=SECONDS``, ``full`` (the disk has no space left), ``on`` (a switch).

`POINTS` lists every point with what has happened there and what has not. Switch: ``ledger.ack_before_commit`` acknowledges before
COMMIT, a defect that the durability test must detect.
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
POINTS = {
    "ledger.before_begin": "a write is queued; its transaction has not begun",
    "ledger.after_operation": "in the transaction: the operation's row is written, its edits are not",
    "ledger.after_writes": "in the transaction: everything is written",
    "ledger.before_commit": "every plan of the group is written; COMMIT follows",
    "ledger.after_commit": "committed; nobody has been told, no projection has followed",
    "ledger.before_ack": "the callers are told next",
    "migration.begun": "the tables are to be made or changed; the transaction has begun",
    "migration.stepped": "a step is done, not committed",
    "migration.committed": "the tables are as this version wants them",
    "terms.paged": "some stored texts have their new terms, others the old ones",
    "terms.noted": "all have; the version of the rules is written",
    "chroma.begun": "Chroma is marked as being written to; the batch is not written",
    "chroma.written": "some vectors of the batch are in Chroma",
    "chroma.before_mark": "the batch is in Chroma, its marker is not",
    "chroma.before_cursor": "the marker is in Chroma, the ledger's cursor is not moved",
    "chroma.followed": "marker and cursor agree",
    "rebuild.dropped": "the arrays and graphs are dropped, Chroma is as it was",
    "rebuild.emptied": "Chroma's collection is empty, its marker gone",
    "consolidation.held": "the lease is taken",
    "consolidation.looked": "the snapshot is read",
    "consolidation.induced": "a cluster's skill is proposed",
    "consolidation.rewritten": "a proposal is rewritten",
    "consolidation.tended": "a batch of facts is looked at",
    "consolidation.accepting": "everything is proposed, the operation is not planned",
    "consolidation.writing": "the operation is planned, not written",
    "consolidation.accepted": "the operation is written, the lease is not given back",
    "compact.after_horizon": "compaction: the log's new beginning is noted",
    "compact.after_namespace": "what is older is dropped from one namespace, not yet from others",
    "compact.before_clean": "dropped everywhere; the files still hold it",
    "compact.after_vacuum": "the file is written anew (SQLite: the write-ahead log still holds all of it)",
    "compact.before_chroma": "the ledger's files are clean, Chroma's are not",
    "compact.after_chroma": "everything is clean",
    "export.after_line": "some of the memory is in the file",
    "import.after_batch": "some of the file is in the memory",
    "reembed.after_batch": "some texts have vectors of the new embedding, the old ones serve",
    "reembed.before_switch": "all have; the old ones still serve",
    "backup.begun": "nothing is copied",
    "backup.copied": "the copy is whole and does not have its name yet",
}
"""Every fault point: what has happened there, and what has not."""


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
