"""What is MiniWoB++'s own in the benchmark: how a page is told to an agent, and how the pages drift.

An agent sees the instruction with its fields named (`Select <target> and click Submit.`), the fields as notes (``target uFQ5Yb``), the texts on
the page, and every admissible action as key-value pairs: operation and kind of element first, then text, id, class, label and ordinal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.driver import MiniWoB
from tests.benchmarks.explorer import mentioned, normalise
from tests.benchmarks.miniwob_seen import Browser, Seen

Page = dict[str, Any]
Candidate = tuple[str, dict[str, Any], Any, Any]
"""(operation, element, value, field key), as `explorer.candidates` lists them."""
CONTROLS = ("button", "a", "input_submit", "input_button", "label", "li")
WORDS = ("Alpha", "Proceed", "Other", "Item", "Go on", "Choose", "Next one", "Done", "More", "Entry")
"""What texts of controls drift to."""
ACCEPT = -1
"""Ref of the consent bar's button."""


def field_name(key: str) -> str:
    """``target 0`` and ``target 1`` are the same kind of field."""
    return re.sub(r"\d+", "#", key)


def task(page: Page) -> str:
    """The instruction with the fields' names in place of their values."""
    text = page["utt"]
    for key, value in sorted(page["fields"], key=lambda pair: -len(pair[1])):
        text = text.replace(value, field_name(key) if key != "target" else "x")
    return text


def notes(page: Page) -> list[str]:
    """The fields of the instruction: name and value."""
    return [f"{key} {value}" for key, value in page["fields"]]


def observation(page: Page) -> dict[str, str]:
    """The texts on the page, and a digest of everything on it, which tells whether an action changed anything."""
    state = json.dumps([page["els"], page["sel"]], sort_keys=True)
    return {
        "page": "\n".join(element["text"] for element in page["els"] if element["text"])[:600],
        "state": f"{_hash(state):016x}",
    }


def action(candidate: Candidate, page: Page) -> dict[str, str]:
    """A candidate as key-value pairs, from what says most of it to its detail."""
    operation, element, value, key = candidate
    into = f"{field_name(key)} into " if key else ""
    pairs = {
        "op": f"{operation.lower()} {into}{element['tag']}",
        "value": str(value) if operation == "SELECT" else "",
        "text": element["text"][:60] if operation != "TYPE" else "",
        "id": element["id"],
        "class": element["cls"],
        "label": label(element, page),
        "ord": str(element["ord"]),
    }
    return {name: text for name, text in pairs.items() if text}


def label(element: Mapping[str, Any], page: Page) -> str:
    """The text right before an element in its row, or right above it."""
    found = ""
    for other in page["els"]:
        beside = abs(other["y"] - element["y"]) < 8 and other["x"] < element["x"]
        above = abs(other["x"] - element["x"]) < 8 and 0 < element["y"] - other["y"] < 32
        if other is not element and other["text"] and (beside or above):
            found = other["text"][:40]
    return found


class Pages:
    """The pages of one browser, as they are or `drifted`; `seen` is the file of those it has shown (`miniwob_seen`)."""

    def __init__(self, seen: Path | None = None, browser: Callable[[], Browser] = MiniWoB) -> None:
        self.browser = Seen(browser, seen)
        self._drifted = False
        self._accepted = True
        self._last: Page = {}

    def reset(self, family: str, instance: str, *, drifted: bool) -> Page:
        """A fresh page; the same (family, instance) is the same page."""
        self._drifted, self._accepted = drifted, not drifted
        return self._seen(self.browser.reset(family, instance))

    def step(self, driven: Sequence[Any]) -> Page:
        """Do an action (`explorer.to_driver`). Under the consent bar only accepting does anything. A page that lost the element is over."""
        if driven[1] == ACCEPT:
            self._accepted = True
            return self._seen(self._last)
        if not self._accepted:
            return self._seen(self._last)
        return self._seen(self.browser.step(tuple(driven)))

    def close(self) -> None:
        self.browser.close()

    def _seen(self, page: Page) -> Page:
        self._last = page
        if page["done"] or not self._drifted:
            return page
        elements = [drifted(element, page) for element in page["els"]]
        if not self._accepted:
            bar = {"ref": ACCEPT, "tag": "button", "text": "Accept", "id": "", "cls": "", "val": None, "x": 0, "y": 0}
            elements = [{**bar, "ord": sum(element["tag"] == "button" for element in elements)}, *elements]
        return {**page, "els": elements}


def drifted(element: Mapping[str, Any], page: Page) -> dict[str, Any]:
    """An element after the site was rebuilt: ids and classes hashed, texts of controls that the instruction does not name replaced."""
    changed = dict(element)
    for name in ("id", "cls"):
        if element[name]:
            changed[name] = f"{name[0]}{_hash(element[name]) % 100_000:05d}"
    if element["tag"] in CONTROLS and element["text"] and not mentioned(element["text"], page["utt"]):
        changed["text"] = WORDS[_hash(normalise(element["text"])) % len(WORDS)]
    return changed


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
