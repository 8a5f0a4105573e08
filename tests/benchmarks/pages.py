"""HTML manuals as sections: what stands under one heading, without the heading; made for what DocBook and Sphinx write."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCKS = {"p", "li", "dt", "dd", "pre", "tr", "div", "section", "table", "ul", "ol", "dl", "br", "blockquote"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SKIPPED_TAGS = {"head", "script", "style", "nav", "footer", "title"}
SKIPPED_CLASSES = {
    "toc",
    "navheader",
    "navfooter",
    "sphinxsidebar",
    "related",
    "contents",
    "headerlink",
    "footer",
    "topic-title",
    "mobile-nav",
}


@dataclass
class Section:
    """The own text of one heading, up to the next heading of any level, and the anchors that lie in it."""

    page: str
    title: str
    text: str
    anchors: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.sections: list[Section] = []
        self._parts: list[str] = []
        self._title: list[str] | None = None
        self._pending: list[str] = []
        self._skipping = 0
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        skipped = tag in SKIPPED_TAGS or bool(classes & SKIPPED_CLASSES)
        anchor = given.get("id")
        if tag in HEADINGS and not self._skipping and not skipped:
            self._close()
            self._title = []
            self.sections.append(Section(self.page, "", "", self._pending))
            self._pending = []
        if anchor and not self._skipping:
            if tag == "section" or "section" in classes or self._pending:
                self._pending.append(anchor)  # a section opens before its heading does, and index marks may stand between the two
            elif self.sections:
                self.sections[-1].anchors.append(anchor)
        if tag in BLOCKS:
            self._add("\n")
        if tag not in VOID:
            self._open.append((tag, skipped))
            self._skipping += skipped

    def handle_endtag(self, tag: str) -> None:
        if not any(name == tag for name, _ in self._open):
            return
        while self._open:
            name, skipped = self._open.pop()
            self._skipping -= skipped
            if name in HEADINGS and self._title is not None:
                self.sections[-1].title = plain("".join(self._title))
                self._title = None
            if name == tag:
                break
        if tag in BLOCKS:
            self._add("\n")

    def handle_data(self, data: str) -> None:
        self._add(data)

    def close(self) -> None:
        super().close()
        self._close()

    def _add(self, text: str) -> None:
        if self._title is not None:
            self._title.append(text)
        elif self.sections and not self._skipping:
            self._parts.append(text)

    def _close(self) -> None:
        if self.sections:
            self.sections[-1].text = re.sub(r"[ \t]*\n\s*", "\n", "".join(self._parts)).strip()
        self._parts = []


class _Index(HTMLParser):
    """Sphinx's general index: nested lists, an entry's links are its own, those of entries below it theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[str, list[str]]] = []
        self._items: list[tuple[list[str], list[str]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and "indextable" in (given.get("class") or ""):
            self._inside = True
        elif not self._inside:
            return
        elif tag == "li":
            self._items.append(([], []))
        elif tag == "ul" and self._items:
            self._end()
        elif tag == "a" and self._items and given.get("href"):
            self._items[-1][1].append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._inside = False
        elif tag == "li" and self._items:
            self._end()
            self._items.pop()

    def handle_data(self, data: str) -> None:
        if self._items:
            self._items[-1][0].append(data)

    def _end(self) -> None:
        """The item's own part is over: it has ended, or items below it begin."""
        links = self._items[-1][1]
        if links:
            words = [plain(re.sub(r"\[\d+\]|,\s*(?=,|$)", "", "".join(parts))).strip(" ,") for parts, _ in self._items]
            if len(words) > 1 and words[-1].startswith("("):  # the same name elsewhere: "(in module turtle)"
                words[-2] = words[-2].partition(" (")[0]
            self.entries.append((" ".join(word for word in words if word), list(links)))
            links.clear()


def index(path: Path) -> list[tuple[str, list[str]]]:
    """The entries of one page of an index, each with the entries above it as part of its text, and the links it gives."""
    reader = _Index()
    reader.feed(path.read_text(encoding="utf-8", errors="replace"))
    reader.close()
    return reader.entries


def plain(text: str) -> str:
    """A title without its number, pilcrow and line breaks."""
    return re.sub(r"^(?:Chapter\s+)?\d+(?:\.\d+)*\.\s+", "", " ".join(text.replace("\u00b6", " ").split()))


def sections(path: Path, page: str) -> list[Section]:
    """The sections of one file, in order; `page` is the name that links use."""
    reader = _Reader(page)
    reader.feed(path.read_text(encoding="utf-8", errors="replace"))
    reader.close()
    return reader.sections
