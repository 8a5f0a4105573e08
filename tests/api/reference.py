"""The reference of the public API, made of signatures and docstrings: ``python -m tests.api.reference`` writes docs/api.md.

A test holds the page to the code, so that a change of a public name or signature is seen where it is read.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("The memory", "langgraph_fluxmem", ("FluxMem", "Activation", "Situation", "Episode", "Step", "Feedback")),
    (
        "What is recalled",
        "langgraph_fluxmem.schema",
        ("RecalledFact", "RecalledStep", "RecalledEpisode", "RecalledSkill", "Why", "Advice", "Evidence", "TentativeEdit", "Provenance"),
    ),
    ("As of an earlier moment", "langgraph_fluxmem.past", ("PastMemory",)),
    ("Options of `open`", "langgraph_fluxmem.config", ("Config",)),
    (
        "Faces",
        "langgraph_fluxmem",
        ("fluxmem_nodes", "FluxMemState", "FluxMemMiddleware", "FluxMemStore", "memory_tools"),
    ),
    ("", "langgraph_fluxmem.retriever", ("FluxMemRetriever",)),
    ("", "langgraph_fluxmem.kv", ("FluxMemByteStore",)),
    ("Consolidation", "langgraph_fluxmem.consolidation", ("Settings", "Report")),
    ("", "langgraph_fluxmem.consolidation.shortening", ("Shortened",)),
    ("", "langgraph_fluxmem.learning.rehearsal", ("Rehearsal",)),
    ("", "langgraph_fluxmem.consolidation.graph", ("consolidation_graph",)),
    ("Explaining and viewing", "langgraph_fluxmem.explaining", ("RecallExplanation", "NodeExplanation")),
    ("", "langgraph_fluxmem.viewing", ("ViewServer", "export_view")),
    ("Observing", "langgraph_fluxmem.observing", ("Event",)),
    ("", "langgraph_fluxmem.otel", ("instrument",)),
    ("Judgement", "langgraph_fluxmem.operators", ("Operators", "RuleOperators")),
    ("", "langgraph_fluxmem.operators.model", ("ChatModelOperators",)),
)


def signature(value: Any) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [parameter for parameter in found.parameters.values() if parameter.name not in {"self", "cls"}]
    text = str(found.replace(parameters=parameters))
    text = re.sub(r"\b(?:langgraph_fluxmem|langchain_core|langgraph|collections|pathlib|typing)(?:\.\w+)*\.(\w+)", r"\1", text)
    return re.sub(r" at 0x[0-9a-f]+", "", text).replace("'", "")


def said(value: Any) -> str:
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value) and "__doc__" in vars(BaseModel) and text == inspect.getdoc(BaseModel):
        text = ""
    return re.sub(r"(?m)^(Raises|Args|Attributes):\n((?:[ ]{4}.*\n?|\n)+)", _listed, text)


def _listed(found: re.Match[str]) -> str:
    """A section of a docstring as a paragraph, or as a list where each line names something."""
    lines = inspect.cleandoc(found[2]).splitlines()
    if found[1] == "Raises":
        return f"**Raises:** {' '.join(lines)}"
    return f"**{found[1]}:**\n\n" + "\n".join(f"- {line}" if re.match(r"[\w, `]+: ", line) else f"  {line}" for line in lines)


def remarks(cls: type[BaseModel]) -> dict[str, str]:
    """What stands under each field in the source."""
    found: dict[str, str] = {}
    for base in (base for base in cls.__mro__ if base.__module__.startswith("langgraph_fluxmem")):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for one, after in pairwise(tree.body):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(after, ast.Expr):
                if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                    found.setdefault(one.target.id, " ".join(after.value.value.split()).replace("|", "\\|"))
    return found


def fields(cls: type[BaseModel]) -> list[str]:
    said = remarks(cls)
    rows = []
    for name, field in cls.model_fields.items():
        kind = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", inspect.formatannotation(field.annotation)).replace("|", "\\|")
        default = "required" if field.is_required() else repr(field.get_default(call_default_factory=True))
        shown = default if default == "required" else f"`{default}`"
        rows.append(f"| `{name}` | `{kind}` | {shown} | {said.get(name, '')} |")
    return ["", "| field | type | default | |", "|---|---|---|---|", *rows] if rows else []


def members(cls: type) -> list[str]:
    lines: list[str] = []
    for name in sorted(vars_of(cls)):
        value = inspect.getattr_static(cls, name)
        if isinstance(value, property):
            lines += ["", f"#### `{cls.__name__}.{name}` (property)", "", said(value)]
            continue
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(plain) and not said(plain).startswith("Async twin of"):
            twin = "async " if inspect.iscoroutinefunction(plain) else ""
            lines += ["", f"#### `{twin}{cls.__name__}.{name}{signature(plain)}`", "", said(plain)]
    return lines


def vars_of(cls: type) -> list[str]:
    """Public members that our own classes define."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("langgraph_fluxmem")]
    return list(dict.fromkeys(name for base in own for name in vars(base) if not name.startswith(("_", "model_"))))


def page() -> str:
    lines = [
        "# API",
        "",
        "Made from signatures and docstrings by `python -m tests.api.reference`. Every call with IO has an async twin\nwith the same arguments whose name begins with `a` (`recall`, `arecall`); those are left out here.",
    ]
    for title, module, names in SECTIONS:
        if title:
            lines += ["", f"## {title}"]
        for name in names:
            value = getattr(import_module(module), name)
            lines += ["", f"### `{module}.{name}{'' if inspect.isclass(value) else signature(value)}`", "", said(value)]
            if inspect.isclass(value):
                if issubclass(value, BaseModel):
                    lines += fields(value)
                if not issubclass(value, enum.Enum):
                    lines += members(value)
    lines += ["", "## Errors", "", "All are `FluxMemError`s.", ""]
    errors = import_module("langgraph_fluxmem.errors")
    for name, value in sorted(vars(errors).items()):
        if inspect.isclass(value) and value.__module__ == errors.__name__:
            lines.append(f"- `{name}`: {' '.join(said(value).split())}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE}: {len(page().splitlines())} lines")
