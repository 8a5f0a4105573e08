"""Which texts of a value are indexed: LangGraph's `IndexConfig`, validated once, and the way from an item back to its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, ensure_embeddings, get_text_at_path, tokenize_path

from langgraph_fluxmem.edits import Text
from langgraph_fluxmem.errors import ConfigError, InvalidContentError
from langgraph_fluxmem.text import content_hash, index_terms

if TYPE_CHECKING:
    from langgraph.store.base.embed import EmbeddingsFunc

    from langgraph_fluxmem.ledger.rows import BodyRow, NodeRow

_KEYS = ("dims", "embed", "fields")
Paths = Literal[False] | Sequence[str] | None
"""`PutOp.index`: None takes the configured fields, False nothing, a list its own paths."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """Texts to embed, of one item: what the ledger keeps of them, and the texts themselves by content hash."""

    texts: tuple[Text, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Index:
    """A validated index configuration: `fields` are paths as LangGraph writes them; `dims` is what vectors must have, None: any."""

    fields: tuple[str, ...] = ("$",)
    dims: int | None = None

    def of(self, value: Mapping[str, Any], paths: Paths) -> Indexed:
        """What to index of a value. Each text a path reaches is indexed on its own; blank ones are not."""
        if paths is False:
            return Indexed()
        found: list[Text] = []
        contents: dict[str, str] = {}
        for path in self.fields if paths is None else checked_paths(paths):
            for ordinal, text in enumerate(_texts(value, path)):
                if text.strip():
                    name = content_hash(text)
                    found.append(Text(f"{path}#{ordinal}", name, " ".join(index_terms(text))))
                    contents[name] = text
        return Indexed(tuple(found), contents)


def configured(index: IndexConfig | Mapping[str, Any] | None) -> tuple[Index | None, Embeddings | str | None]:
    """The validated configuration and its embedding (an `Embeddings`, or the string that names one); both None without an index.

    Raises:
        ConfigError: an unknown key, or a value that cannot be.
    """
    if index is None:
        return None, None
    if not isinstance(index, Mapping):
        raise ConfigError(f"index is a {type(index).__name__}; give a dict such as {{'dims': 384, 'embed': ..., 'fields': ['text']}}")
    unknown = [key for key in index if key not in _KEYS]
    if unknown:
        raise ConfigError(f"index holds {unknown[0]!r}; its keys are {', '.join(_KEYS)}")
    dims = index.get("dims")
    if dims is not None and (isinstance(dims, bool) or not isinstance(dims, int) or dims < 1):
        raise ConfigError(f"index['dims'] is {dims!r}; it is the length of the embedding's vectors, or left out")
    fields = index.get("fields")
    paths = ("$",) if fields is None else checked_paths(fields, "index['fields']")
    embed = index.get("embed")
    if embed is not None and not isinstance(embed, (str, Embeddings)):
        if not callable(embed):
            raise ConfigError(
                f"index['embed'] is a {type(embed).__name__}; give Embeddings, a function of a list of texts, or 'provider:model'"
            )
        embed = _of_function(cast("EmbeddingsFunc", embed))
    return Index(paths, dims), embed


def _of_function(function: EmbeddingsFunc) -> Embeddings:
    """A function (sync or async) as an embedding. The memory knows it by its name, so that another one is noticed."""
    made = ensure_embeddings(function)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    setattr(made, "fingerprint", f"function {name}")  # noqa: B010 - `embeddings.resolve` reads it where it is there
    return made


def checked_paths(paths: object, what: str = "index") -> tuple[str, ...]:
    """Paths to index.

    Raises:
        ConfigError: not a list of texts.
    """
    if isinstance(paths, str) or not isinstance(paths, Sequence) or not all(isinstance(path, str) for path in paths):
        raise ConfigError(f"{what} is {paths!r}; give a list of paths such as ['text', 'messages[*].content'], or False for none")
    return tuple(paths)


def fact_of(row: NodeRow | BodyRow) -> tuple[str, dict[str, Any]]:
    """A fact or item as `recall` shows it: (content, metadata). A fact: what was remembered. An item: its indexed texts, one a line, and
    ``{"key": ..., "value": ...}``.

    Raises:
        InvalidContentError: the version was erased.
    """
    body = row.body
    if body is None:
        raise InvalidContentError(f"version {row.id!r} was erased; recall again")
    if row.kind == "fact":
        metadata = body.get("metadata")
        return str(body["content"]), _copied(metadata) if metadata else {}
    value = _copied(body["value"])
    return "\n".join(dict.fromkeys(text_at(value, text.path) for text in row.texts)), {"key": row.key, "value": value}


def _copied(value: Mapping[str, Any]) -> dict[str, Any]:
    """A dict of its own, all the way down: the row may be shared."""
    return {key: deepcopy(held) if isinstance(held, (dict, list)) else held for key, held in value.items()}


def value_of(row: NodeRow) -> dict[str, Any]:
    """A fact or item as the store shows it: an item's value; of a fact ``{"content": ..., "metadata": {...}}``."""
    body: Mapping[str, Any] = row.body or {}
    if row.kind == "fact":
        return {"content": body["content"], "metadata": body.get("metadata") or {}}
    return body["value"]


def _texts(value: Mapping[str, Any], path: str) -> list[str]:
    return get_text_at_path(value, "$" if path in ("", "$") else tokenize_path(path))


def text_at(value: Mapping[str, Any], name: str) -> str:
    """The text of an item's value that an indexed text's path names."""
    path, _, ordinal = name.rpartition("#")
    return _texts(value, path)[int(ordinal)]
