"""Pages that a browser has shown before: a page is a function of its family, its instance and what was done on it, so it is asked for once.

Variants that share seeds see mostly the same pages, and loading one takes longer than deciding what to do on it. What a browser showed is
kept in a file; it is asked again only where an agent leaves the ways that were gone before, and then does what was done again first. Pages
that come out otherwise the second time (one was still moving) are counted: their number says how far the file can be trusted.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

TRIES = 3
"""How often what was done is done again until the page comes out as before; then its next action is taken to do nothing."""
Page = dict[str, Any]


class Browser(Protocol):
    """What `driver.MiniWoB` offers."""

    def reset(self, family: str, instance: str, /) -> Page:
        """A fresh page."""
        ...

    def step(self, action: Sequence[Any], /) -> Page:
        """The page after an action.

        Raises:
            LookupError: the page has no such element.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class Seen:
    """A browser that is asked for each page once; see the module.

    Args:
        browser: opens the browser; called when it is first needed.
        path: file of the pages seen; several processes may share it. Without one they are kept as long as this object.

    Attributes:
        asked, shown, moved: pages asked for, pages that the browser showed, and pages among those shown again that had changed.
        lost: actions whose element was not there again.
    """

    def __init__(self, browser: Callable[[], Browser], path: Path | None = None) -> None:
        self._make = browser
        self._browser: Browser | None = None
        self._kept = sqlite3.connect(path or ":memory:", timeout=60.0, isolation_level=None)
        self._kept.execute("PRAGMA journal_mode = WAL")
        self._kept.execute("PRAGMA synchronous = OFF")
        self._kept.execute("CREATE TABLE IF NOT EXISTS pages (way TEXT PRIMARY KEY, page BLOB NOT NULL) WITHOUT ROWID")
        self._way: list[Any] = []
        self._stands: list[Any] | None = None
        """What was done in the browser itself, from family and instance on."""
        self.asked = self.shown = self.moved = self.lost = 0

    def reset(self, family: str, instance: object) -> Page:
        """A fresh page."""
        self._way = [family, str(instance)]
        self._stands = None
        return self._page()

    def step(self, action: Sequence[Any]) -> Page:
        """The page after one more action."""
        self._way.append(list(action))
        return self._page()

    def close(self) -> None:
        """Close the browser and the file."""
        if self._browser is not None:
            self._browser.close()
        self._kept.close()

    def _page(self) -> Page:
        self.asked += 1
        return self._found(self._way) or self._look()

    def _look(self) -> Page:
        """Ask the browser, which is brought to where the page is first."""
        for _ in range(TRIES):
            try:
                page = self._walk()
                break
            except LookupError:  # what was there the first time is not there now
                self._stands = None
        else:
            self.lost += 1
            page = self._found(self._way[:-1]) or {}
            self._keep(self._way, page)
        return json.loads(json.dumps(page))

    def _walk(self) -> Page:
        if self._browser is None:
            self._browser = self._make()
        page: Page = {}
        for length in range(2 if self._stands is None else len(self._stands) + 1, len(self._way) + 1):
            page = self._browser.reset(*self._way[:2]) if length == 2 else self._browser.step(tuple(self._way[length - 1]))
            self._stands = self._way[:length]
            self.shown += 1
            self._keep(self._stands, page)
            if page["done"]:
                break
        return page

    def _found(self, way: list[Any]) -> Page | None:
        found = self._kept.execute("SELECT page FROM pages WHERE way = ?", (json.dumps(way),)).fetchone()
        return None if found is None else json.loads(zlib.decompress(found[0]))

    def _keep(self, way: list[Any], page: Page) -> None:
        before = self._found(way)
        if before is None:
            self._kept.execute("INSERT OR IGNORE INTO pages VALUES (?, ?)", (json.dumps(way), zlib.compress(json.dumps(page).encode())))
        elif before != json.loads(json.dumps(page)):
            self.moved += 1
