"""Stores for the kit's own tests: the reference store in a file, and factories in every form the kit takes."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from langgraph_fluxmem.testing.conformance.reference import Entry, ReferenceStore


class FileStore(ReferenceStore):
    """The reference store over one JSON file: a lock file around every batch, the file replaced as a whole."""

    def __init__(self, path: Path, *, index=None, ttl=None) -> None:
        super().__init__(index=index, ttl=ttl)
        self.file = path / "store.json"

    def apply(self, ops, vectors, asked):
        with self._lock, self._locked():
            return super().apply(ops, vectors, asked)

    def sweep_ttl(self) -> int:
        with self._lock, self._locked():
            return super().sweep_ttl()

    @contextmanager
    def _locked(self):
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self):
        if not self.file.exists():
            return {}
        return dict(decode(row) for row in json.loads(self.file.read_text(encoding="utf-8", errors="surrogatepass")))

    def save(self, entries) -> None:
        text = json.dumps([encode(address, entry) for address, entry in entries.items()])
        part = self.file.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.file)


def encode(address, entry):
    moments = [entry.created_at.isoformat(), entry.updated_at.isoformat(), entry.expires_at and entry.expires_at.isoformat()]
    return [list(address[0]), address[1], entry.value, *moments, entry.ttl, list(entry.vectors)]


def decode(row):
    namespace, key, value, created, updated, expires, ttl, vectors = row
    moment = datetime.fromisoformat
    return (tuple(namespace), key), Entry(value, moment(created), moment(updated), ttl, expires and moment(expires), tuple(vectors))


async def file_store(path, index=None, ttl=None):
    yield FileStore(path, index=index, ttl=ttl)


def plain_function():
    return ReferenceStore()


@contextmanager
def context_manager(index=None):
    yield ReferenceStore(index=index)


@asynccontextmanager
async def async_context_manager(ttl=None):
    yield ReferenceStore(ttl=ttl)


async def coroutine(path):
    return FileStore(path)


def not_a_store():
    return {}
