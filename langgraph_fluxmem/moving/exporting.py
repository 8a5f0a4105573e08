"""Export: what counts now, as JSON Lines. The format is told in docs/forgetting.md.

A header names the format, its version, the memory and its embedding; then a line for each operation of which something counts, in log
order by namespace; the last line says how many there are, so that a file that was cut off is noticed.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from langgraph_fluxmem.errors import InvalidContentError, InvalidNamespaceError, LedgerError
from langgraph_fluxmem.ledger.exporting import Told, told
from langgraph_fluxmem.ledger.forgetting import every_namespace
from langgraph_fluxmem.ledger.sql import Session
from langgraph_fluxmem.namespaces import check_namespace
from langgraph_fluxmem.progress import Progress
from langgraph_fluxmem.requests import Call, Stage
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.testing.faults import point
from langgraph_fluxmem.text import VERSION as TERMS

if TYPE_CHECKING:
    from langgraph_fluxmem.engine import Engine

FORMAT, FORMAT_VERSION = "langgraph_fluxmem", 1
Place = str | os.PathLike[str] | IO[str]
EVERY = 500
"""Operations between two reports of progress."""


class Exported(BaseModel):
    """What an export holds: `operations` with their `nodes`, of these `namespaces`, and `vectors` if they were asked for."""

    model_config = ConfigDict(frozen=True)

    namespaces: tuple[Namespace, ...] = ()
    operations: int = 0
    nodes: int = 0
    vectors: int = 0


def export(place: Place, *, namespaces: Iterable[Sequence[str]] | None, deep: bool, vectors: bool, progress: Progress | None) -> Stage:
    """Write an export; returns `Exported`. A path that ends with ``.gz`` is compressed.

    Raises:
        InvalidNamespaceError: a namespace that holds nothing. LedgerError: the file cannot be written.
    """
    wanted = None if namespaces is None else [check_namespace(namespace) for namespace in namespaces]
    return (yield Call(lambda engine: _exported(engine, place, wanted, deep=deep, vectors=vectors, progress=progress)))


def _exported(
    engine: Engine, place: Place, wanted: Sequence[Namespace] | None, *, deep: bool, vectors: bool, progress: Progress | None
) -> Exported:
    embedding = engine.ledger.embedding()

    def write(session: Session) -> Exported:
        chosen = _chosen(every_namespace(session), wanted, deep=deep)
        with session.consistently(), opened(place, "w") as file:
            header = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "memory": engine.ledger.memory_id,
                "embedding": embedding,
                "terms": TERMS,
                "vectors": vectors,
            }
            _line(file, header)
            done = nodes = held = 0
            for namespace in chosen:
                for operation in told(session, namespace, None if embedding is None else embedding[0], with_vectors=vectors):
                    _line(file, _as_json(operation))
                    point("export.after_line")
                    done, nodes, held = done + 1, nodes + len(operation.nodes), held + len(operation.vectors)
                    if progress is not None and done % EVERY == 0:
                        progress({"operations": done, "nodes": nodes})
            _line(file, {"end": done})
        return Exported(namespaces=tuple(chosen), operations=done, nodes=nodes, vectors=held if vectors else 0)

    return engine.ledger.read(write)


def _chosen(there: Sequence[Namespace], wanted: Sequence[Namespace] | None, *, deep: bool) -> list[Namespace]:
    if wanted is None:
        return list(there)
    chosen: dict[Namespace, None] = {}
    for namespace in wanted:
        found = [other for other in there if other == namespace or (deep and other[: len(namespace)] == namespace)]
        if not found:
            raise InvalidNamespaceError(f"namespace {'.'.join(namespace)!r} holds nothing to export")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _as_json(operation: Told) -> dict[str, Any]:
    line: dict[str, Any] = {
        "operation": operation.id,
        "kind": operation.kind,
        "namespace": operation.namespace,
        "position": operation.position,
        "at": operation.at,
        "from": operation.provenance,
        "commit": operation.commit,
        "nodes": [{name: value for name, value in node.items() if value is not None} for node in operation.nodes],
        "edges": operation.edges,
        "evidence": operation.evidence,
        "vectors": {name: base64.b64encode(blob).decode() if blob else None for name, blob in operation.vectors.items()},
    }
    return {name: value for name, value in line.items() if value not in (None, [], {})}


def _line(file: IO[str], value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


@contextmanager
def opened(place: Place, mode: str) -> Generator[IO[str]]:
    """The file at a path, or the file itself. What is written to a path stands under another name until it is whole.

    Raises:
        LedgerError: it cannot be read or written. InvalidContentError: what is read is damaged: no text, or cut off within its compression.
    """
    if not isinstance(place, (str, os.PathLike)):
        yield place
        return
    path = Path(place).expanduser()
    scratch = path.with_name(path.name + ".part") if mode == "w" else path
    try:
        raw = gzip.open(scratch, mode + "b") if path.suffix == ".gz" else scratch.open(mode + "b")  # noqa: SIM115 - the wrapper closes it
        with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as file:  # pyright: ignore[reportArgumentType] - gzip's files are files
            yield file
        if mode == "w":
            scratch.replace(path)
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise InvalidContentError(
            f"{path} is damaged or no export ({error}); what stands before that is imported, if anything; get the whole file and import it again"
        ) from error
    except OSError as error:
        if isinstance(error, LedgerError):
            raise
        doing = "write" if mode == "w" else "read"
        raise LedgerError(
            f"cannot {doing} {path}: {error.strerror or error}; check the path, its permissions and the space left"
        ) from error
