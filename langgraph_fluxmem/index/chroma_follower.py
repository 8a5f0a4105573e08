"""The thread that keeps Chroma at the log's head, off every caller's path, and answers searches once it is there.

A local folder is opened by whoever holds ``chroma.lock``, as long as it is open. To a server every process writes in its turn, under a
lease of the ledger that it gives back when it has followed: after a write the collection is at the log's head within `LONGEST` and a turn
of the others, and `LEASE` later where the one whose turn it was has died. Recall does not wait for any of that: what came after the cursor,
and all where Chroma is away, the exact tier knows.
A local Chroma lets calls go first (`courtesy`).
"""

from __future__ import annotations

import atexit
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from langgraph_fluxmem.errors import ClosedError, LeaseLostError
from langgraph_fluxmem.index.chroma import FOLDER, ChromaStore, version_of
from langgraph_fluxmem.index.chroma_sync import CURSOR, ChromaSync
from langgraph_fluxmem.index.courtesy import Courtesy
from langgraph_fluxmem.index.lock import FileLock
from langgraph_fluxmem.schema import Vector

if TYPE_CHECKING:
    from langgraph_fluxmem.ledger import Ledger

T = TypeVar("T")
IDLE = 0.2
"""Seconds without a new write before following begins."""
LONGEST = 2.0
"""Seconds after which it begins in any case."""
LEASE = 30.0
"""Seconds for which a follower of a server may write without renewing."""
PATIENCE = 2.0
"""Seconds a search waits for a server."""
RETRY = (1.0, 30.0)
"""Seconds between attempts after a failure: the first, and the most."""
TURN = (0.25, 2.0)
"""Seconds between looks while it is another process's turn to write to a server: the first, and the most."""
STALL = 60.0
"""Seconds without a finished batch after which a wait without a timeout gives up."""
SMALL_PART = 8
"""A namespace with less than one in so many of Chroma's vectors is scanned instead."""
FAREWELL = 10.0
"""Seconds `close` waits for the batch at hand."""


_OTHERS_TURN = "another process writes to the Chroma server"


class _ElsewhereError(Exception):
    """Another process keeps Chroma."""


class _StoppedError(Exception):
    """`close` was called."""


class ChromaFollower:
    """Follows a ledger's log into Chroma: `place` is the memory's directory, or the address of a server.

    `notice` is called, from any thread, with what was found and mended.
    """

    def __init__(self, ledger: Ledger, place: Path | str, *, notice: Callable[[str], None]) -> None:
        self._ledger, self._notice = ledger, notice
        self._lock = FileLock(place / "chroma.lock") if isinstance(place, Path) else None
        self._sync = ChromaSync(ledger, place / FOLDER if isinstance(place, Path) else place, notice=notice, check=self._between_batches)
        self._at_exit = _closing(weakref.ref(self))
        self._owner = uuid.uuid4().hex
        self._token: int | None = None
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.courtesy = Courtesy(self._state, self._stop)
        self._poked = 0
        self._hurry = False
        self._opening = False
        self._wanted = False
        self._refill = False
        self._anew = False
        self._failed_in_use = False
        self._doubted = False
        self._rounds = 0
        self._beats = 0
        self._pause = 0.0
        self._again_at = 0.0
        self._position = -1
        self.trouble: str | None = None
        """Why Chroma cannot be used now; None when it can, or was not needed yet."""
        self.elsewhere: str | None = None
        """Who keeps Chroma, when this process does not."""

    # ------------------------------------------------------------------------------------------------------------------- callers
    def start(self) -> None:
        """Look, without opening Chroma, whether there is something to follow or to mend; if so begin."""
        if self._sync.behind():
            self.poke()

    def poke(self, *, hurry: bool = False) -> None:
        """Something was written: follow soon (at once with `hurry`). Never blocks."""
        with self._state:
            self.courtesy.called()
            if self._stop.is_set():
                return
            self._poked += 1
            self._hurry = self._hurry or hurry
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fluxmem-chroma", daemon=True)
                self._thread.start()
                atexit.register(self._at_exit)
            self._state.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until Chroma has followed to the log's present head; False when it cannot now, or not within `timeout` seconds.

        Without a timeout it waits as long as batches get done, at least one a minute.
        """
        with self.courtesy.hurried():
            return self._flushed(self._ledger.head(), timeout)

    def _flushed(self, head: int, timeout: float | None) -> bool:
        deadline = time.monotonic() + (STALL if timeout is None else timeout)
        with self._state:
            beats = self._beats
            begun, self._wanted = self._rounds, True
            self.poke(hurry=True)
            while not self._stop.is_set():
                if self._position >= head and self._usable() and not (self._refill or self._anew or self._doubted or self._failed_in_use):
                    return True
                # Two rounds: the first may have begun before this call.
                if self._rounds >= begun + 2 and not self._usable() and not self._waits_for_turn():
                    return False
                if timeout is None and self._beats != beats:
                    beats, deadline = self._beats, time.monotonic() + STALL
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if self._rounds == begun + 1 and not self._usable() and not self._waits_for_turn():
                    self.poke(hurry=True)
                self._state.wait(left)
        return False

    def nearest(self, vector: Vector, m: int, share: int) -> tuple[list[str], int, bool] | None:
        """Version ids of any namespace, best first, enough that about `m` are of one which holds `share` vectors.

        With them the log position they are complete up to, and whether there are no more. None: Chroma cannot answer now, or the
        namespace is so small a part of it that scanning is quicker.
        """
        store = self._sync.store
        self._wanted = self.courtesy.needed = True
        if store is None or self.trouble is not None or self._failed_in_use or self._refill:
            self.poke()
            return None
        held = max(self._sync.marker.vectors, 1)
        if held > SMALL_PART * share:
            return None
        asked = -(-m * max(held, share) // max(share, 1))
        try:
            followed = self._position if self._lock is not None else self._ledger.cursor(CURSOR)
            found = self._in_time(lambda: store.nearest(vector, asked))
        except Exception as error:  # noqa: BLE001 - chromadb raises what it likes; it is told, and the exact tier answers
            if not self._stop.is_set() and self._sync.store is store:
                self._failed_in_use = True
                self._fail(error)
                self.poke()
            return None
        return list(dict.fromkeys(map(version_of, found))), followed, len(found) < asked

    def suspect(self) -> None:
        """A search had fewer hits than Chroma must hold: look again what it holds."""
        self._doubted = True
        self.poke()

    def with_store(self, use: Callable[[ChromaStore], T]) -> T | None:
        """Call `use` with the open store; None when this process has none."""
        store = self._sync.store
        return None if store is None else use(store)

    def rebuild(self, timeout: float | None = None) -> bool:
        """Drop the collection and fill it again from the ledger; False when that cannot be done now."""
        with self._state:
            self._refill = True
        return self.flush(timeout)

    def renew(self, timeout: float | None = None) -> bool:
        """Make Chroma's files anew (on a server: the collection), without what was deleted from them; False when that cannot be done now, or another process keeps them.
        A Chroma that was never filled is left alone."""
        if not self._ledger.cursor(CURSOR):
            return True
        if self._lock is None:
            return self.rebuild(timeout)
        with self._state:
            self._anew = True
        return self.flush(timeout) and not self._anew

    def close(self, *, wait_for_opening: float = 0.0) -> None:
        """Stop after the batch at hand; the cursor then says what Chroma holds. A second call does nothing.

        A thread that is still importing chromadb is not waited for: it ends by itself before it writes anything.
        """
        with self._state:
            self._stop.set()
            self._state.notify_all()
            thread, opening = self._thread, self._opening
        if thread is not None and thread is not threading.current_thread():
            thread.join(wait_for_opening if opening else FAREWELL if self._lock is not None else PATIENCE)
        if thread is None or not thread.is_alive():
            atexit.unregister(self._at_exit)

    # -------------------------------------------------------------------------------------------------------------------- thread
    def _run(self) -> None:
        seen = 0
        try:
            while not self._stop.is_set():
                with self._state:
                    while not self._stop.is_set() and (left := self._wait_for(seen)) != 0.0:
                        self._state.wait(left)
                    self._debounce()
                    seen, self._hurry = self._poked, False
                self._round()
        finally:
            self._let_go()
            with self._state:
                self._state.notify_all()

    def _wait_for(self, seen: int) -> float | None:
        """Seconds until there is something to do: 0 now, None until somebody pokes."""
        if self._poked == seen and not self._pause:
            return None
        if self._poked != seen and self._hurry:
            return 0.0
        return max(0.0, self._again_at - time.monotonic())

    def _debounce(self) -> None:
        """Wait until writes pause."""
        begun = time.monotonic()
        while not self._stop.is_set() and not self._hurry and time.monotonic() - begun < LONGEST:
            poked = self._poked
            self._state.wait(IDLE)
            if self._poked == poked:
                return

    def _round(self) -> None:
        try:
            self._check_stop()
            self._follow()
        except (_StoppedError, ClosedError):
            return
        except _ElsewhereError as reason:
            self.elsewhere = str(reason)
            self._back()
            self._pause_before_retry(RETRY if self._lock is not None else TURN)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(error)
            self._sync.close()
        else:
            self._pause, self.elsewhere = 0.0, None
            self._back()
        finally:
            with self._state:
                self._rounds += 1
                self._state.notify_all()

    def _follow(self) -> None:
        self.courtesy.begin()
        self._between_batches()
        if self._failed_in_use:
            self._sync.discard()
            self._failed_in_use = False
        if self._anew:
            if self._lock is not None and not self._lock.acquire():
                raise _ElsewhereError(f"another process holds {self._lock.path}; this one works without Chroma")
            self._sync.renew()
            self._anew = False
        if self._sync.store is None:
            if not self._wanted and not self._sync.behind():
                return
            self._open()
        elif self._lock is None:
            self._check_turn()
            if self._others_followed():
                return
        more = True
        while more:
            self._hold_lease()
            refill, doubted = self._refill, self._doubted
            if doubted:
                self._sync.settle()
            if refill:
                self._sync.start_anew()
            more = self._sync.step()
            with self._state:
                self._refill, self._doubted = self._refill and not refill, self._doubted and not doubted
                self._position = self._sync.marker.position
                self._state.notify_all()
        if self._lock is None:
            self._release()

    def _others_followed(self) -> bool:
        """Whether the collection on the server is at the log's head without this process; then there is nothing to take a turn for."""
        if self._refill or self._doubted:
            return False
        head = self._ledger.head()
        if self._sync.behind():
            return False
        self._sync.glance()
        self._position = max(self._position, head)
        return True

    def _open(self) -> None:
        if self._lock is not None and not self._lock.acquire():
            raise _ElsewhereError(f"another process holds {self._lock.path}; this one works without Chroma")
        self._position = -1
        self._opening = True
        try:
            self._sync.open()
        finally:
            self._opening = False
        self._check_stop()
        if self._lock is not None:
            self._sync.settle()
        else:
            self._token = None

    def _hold_lease(self) -> None:
        """For a server: be the one that writes."""
        if self._lock is not None:
            return
        if self._token is not None:
            try:
                self._ledger.renew_lease(CURSOR, self._owner, self._token, LEASE)
            except LeaseLostError:
                self._token = None
            else:
                return
        self._check_turn()
        self._token = self._ledger.acquire_lease(CURSOR, self._owner, LEASE)
        if self._token is None:
            raise _ElsewhereError(_OTHERS_TURN)
        self._sync.settle()

    def _check_turn(self) -> None:
        """Look, without a write, whether it is another process's turn."""
        if self._token is None and self._ledger.leased(CURSOR, self._owner):
            raise _ElsewhereError(_OTHERS_TURN)

    def _let_go(self) -> None:
        for part in (self._sync.close, self._release):
            try:
                part()
            except ClosedError:
                continue
            except Exception as error:  # noqa: BLE001 - the thread ends here whatever happens
                self._notice(f"{self._sync.where} was not left cleanly: {error}")

    def _release(self) -> None:
        token, self._token = self._token, None
        if self._lock is not None:
            self._lock.release()
        elif token is not None:
            self._ledger.release_lease(CURSOR, self._owner, token)

    # ------------------------------------------------------------------------------------------------------------------- trouble
    def _usable(self) -> bool:
        return self.trouble is None and self.elsewhere is None

    def _waits_for_turn(self) -> bool:
        """Whether another process writes to the server now, and gives way soon."""
        return self._lock is None and self.trouble is None and self.elsewhere is not None

    def _fail(self, error: BaseException) -> None:
        """Chroma is away: say so once, and try again later and later."""
        text = f"{self._sync.where} cannot be used ({type(error).__name__}: {str(error)[:200]}); the exact tier answers meanwhile"
        if self.trouble is None:
            self._notice(text)
        self.trouble = text
        self._pause_before_retry(RETRY)

    def _back(self) -> None:
        """Chroma can be used; say so where it was said that it cannot."""
        if self.trouble is not None:
            self._notice(f"{self._sync.where} can be used again")
        self.trouble = None

    def _pause_before_retry(self, pauses: tuple[float, float]) -> None:
        with self._state:
            self._pause = min(max(2 * self._pause, pauses[0]), pauses[1])
            self._again_at = time.monotonic() + self._pause

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _between_batches(self) -> None:
        self._beats += 1
        if self._lock is not None:
            self.courtesy.give_way()
        self._check_stop()

    def _in_time(self, call: Callable[[], T]) -> T:
        """The result of `call`; a server that does not answer in time is away."""
        if self._lock is not None:
            return call()
        result: list[T] = []
        failure: list[Exception] = []

        def run() -> None:
            try:
                result.append(call())
            except Exception as error:  # noqa: BLE001 - raised in the caller below
                failure.append(error)

        thread = threading.Thread(target=run, name="fluxmem-chroma-search", daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if failure:
            raise failure[0]
        if not result:
            raise TimeoutError(f"no answer within {PATIENCE:g} s")
        return result[0]


def _closing(reference: weakref.ref[ChromaFollower]) -> Callable[[], None]:
    """Ends the thread before the interpreter ends: one that is torn down inside chromadb's native code aborts the process."""

    def close() -> None:
        found = reference()
        if found is not None:
            found.close(wait_for_opening=FAREWELL)

    return close
