"""What an agent without memory does: every admissible action, and a random choice with a lexical prior."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from typing import Any

from tests.benchmarks.driver import TEXT_INPUTS

CLICKABLE = ("button", "a", "input_checkbox", "input_radio", "input_submit", "input_button", "li", "h3")


def normalise(text: object) -> str:
    return re.sub(r"\s+", " ", str(text)).strip().lower()


def mentioned(text: str, utterance: str) -> bool:
    text = normalise(text)
    return bool(text) and re.search(r"(?<!\w)" + re.escape(text) + r"(?!\w)", normalise(utterance)) is not None


def candidates(obs: dict[str, Any]) -> list[Any]:
    """Every admissible (operation, element, value, field key)."""
    out = []
    for element in obs["els"]:
        if element["tag"] in TEXT_INPUTS:
            out += [("TYPE", element, value, key) for key, value in obs["fields"]]
            if not obs["fields"]:
                out.append(("CLICK", element, None, None))
        elif element["tag"] != "select":
            out.append(("CLICK", element, None, None))
    by_ref = {element["ref"]: element for element in obs["els"]}
    for ref, options, _current in obs["sel"]:
        if ref in by_ref:
            out += [("SELECT", by_ref[ref], option, None) for option in options]
    return out


def weights(obs: dict[str, Any], actions: Sequence[Any], touched: Collection[int]) -> list[float]:
    """How likely each is, without memory."""
    out = []
    for operation, element, value, _key in actions:
        if operation == "CLICK":
            weight = 1.0 + 4.0 * mentioned(element["text"], obs["utt"]) + 2.0 * (element["tag"] in CLICKABLE)
            weight *= 0.1 if element["ref"] in touched else 1.0
        elif operation == "TYPE":
            weight = 3.0 * (0.1 if element["val"] else 1.0)
        else:
            weight = 1.0 + 4.0 * mentioned(value, obs["utt"])
            weight *= 0.1 if element["ref"] in touched else 1.0
        out.append(weight)
    return out


def explore(obs: dict[str, Any], touched: Collection[int], rng: random.Random) -> Any:
    """One action, or None. `touched` holds the refs already used in this episode; `rng` is a random.Random."""
    actions = candidates(obs)
    return rng.choices(actions, weights(obs, actions, touched))[0] if actions else None


def to_driver(action: Any) -> tuple[Any, ...]:
    """What `MiniWoB.step` takes."""
    operation, element, value, _key = action
    return (operation, element["ref"]) if operation == "CLICK" else (operation, element["ref"], value)
