"""Operations as `batch` gets them: each checked before anything is read or written, and sorted into reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.store.base import GetOp, ListNamespacesOp, PutOp, SearchOp, validate_op_namespace

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.namespaces import check_namespace
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.storing.fields import Index, Indexed, checked_paths
from langgraph_fluxmem.storing.filters import Matcher, compiled
from langgraph_fluxmem.storing.values import checked, checked_key


@dataclass(frozen=True, slots=True)
class Write:
    """The last put of a key in a batch. `value` None: a delete. `ttl` in minutes."""

    namespace: Namespace
    key: str
    value: Mapping[str, Any] | None
    indexed: Indexed
    ttl: float | None


@dataclass(slots=True)
class Operations:
    """A checked batch. Reads carry the index of their answer."""

    count: int = 0
    gets: list[tuple[int, GetOp]] = field(default_factory=list[tuple[int, GetOp]])
    searches: list[tuple[int, SearchOp, Matcher | None]] = field(default_factory=list[tuple[int, SearchOp, Matcher | None]])
    listings: list[tuple[int, ListNamespacesOp]] = field(default_factory=list[tuple[int, ListNamespacesOp]])
    writes: dict[tuple[Namespace, str], Write] = field(default_factory=dict[tuple[Namespace, str], Write])

    @property
    def reads(self) -> bool:
        """Whether anything is read."""
        return bool(self.gets or self.searches or self.listings)


def sorted_out(ops: Iterable[Any], index: Index | None) -> Operations:
    """Check every operation and sort it.

    Raises:
        InvalidNamespaceError (LangGraph's or ours), InvalidContentError, ConfigError, ValueError for filters: nothing of the batch is done.
        TypeError: something that is no operation.
    """
    batch = Operations()
    for op in ops:
        position = batch.count
        batch.count += 1
        if isinstance(op, PutOp):
            write = _write(op, index)
            batch.writes.pop((write.namespace, write.key), None)
            batch.writes[write.namespace, write.key] = write
        elif isinstance(op, GetOp):
            namespace = _namespace(op, op.namespace)
            batch.gets.append((position, op._replace(namespace=namespace, key=checked_key(op.key))))
        elif isinstance(op, SearchOp):
            batch.searches.append((position, _search(op), compiled(op.filter)))
        elif isinstance(op, ListNamespacesOp):
            batch.listings.append((position, _listing(op)))
        else:
            raise TypeError(
                f"operation {position} of the batch is a {type(op).__name__}; expected GetOp, PutOp, SearchOp or ListNamespacesOp"
            )
    return batch


def _namespace(op: Any, namespace: object) -> Namespace:
    if isinstance(namespace, (tuple, list)):
        validate_op_namespace(op)
    return check_namespace(namespace, reserved=False)


def _write(op: PutOp, index: Index | None) -> Write:
    namespace = _namespace(op, op.namespace)
    key = checked_key(op.key)
    if op.value is None:
        return Write(namespace, key, None, Indexed(), None)
    value = checked(op.value, "value")
    if op.index is not None and op.index is not False:
        checked_paths(op.index)
    if op.ttl is not None and (isinstance(op.ttl, bool) or not isinstance(op.ttl, (int, float)) or not 0 < op.ttl < float("inf")):
        raise ConfigError(f"ttl is {op.ttl!r}; it is the time to live in minutes, more than 0, or None for no end")
    return Write(namespace, key, value, Indexed() if index is None else index.of(value, op.index), op.ttl)


def _search(op: SearchOp) -> SearchOp:
    prefix = op.namespace_prefix
    if not isinstance(prefix, (tuple, list)) or prefix:
        prefix = _namespace(op, prefix)
    if op.query is not None and not isinstance(op.query, str):
        raise ConfigError(f"query is a {type(op.query).__name__}; give a text, or None")
    _check_page(op.limit, op.offset)
    return op._replace(namespace_prefix=tuple(prefix))


def _listing(op: ListNamespacesOp) -> ListNamespacesOp:
    validate_op_namespace(op)
    for condition in op.match_conditions or ():
        if condition.match_type not in ("prefix", "suffix"):
            raise ConfigError(f"match_type is {condition.match_type!r}; expected 'prefix' or 'suffix'")
    if op.max_depth is not None and (isinstance(op.max_depth, bool) or not isinstance(op.max_depth, int) or op.max_depth < 1):
        raise ConfigError(f"max_depth is {op.max_depth!r}; expected a whole number of labels, at least 1, or None")
    _check_page(op.limit, op.offset)
    return op


def _check_page(limit: object, offset: object) -> None:
    for name, value in (("limit", limit), ("offset", offset)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"{name} is {value!r}; expected a whole number, 0 or more")
