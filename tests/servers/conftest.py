"""A Postgres and a Chroma server: those that the environment names, else real ones started here, else the tests are skipped with the reason.

``FLUXMEM_TEST_POSTGRES`` is the address of a database, ``FLUXMEM_TEST_CHROMA`` that of a Chroma server.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator

import pytest

from langgraph_fluxmem import opening

from .real import Chroma, Postgres, schema


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a database on a Postgres that stays up."""
    if named := os.environ.get("FLUXMEM_TEST_POSTGRES"):
        yield named
        return
    pytest.importorskip("psycopg", reason='Postgres needs psycopg: pip install "langgraph_fluxmem[postgres]"')
    if Postgres.missing:
        pytest.skip(f"FLUXMEM_TEST_POSTGRES is not set, and {Postgres.missing}")
    server = Postgres()
    server.start()
    yield server.address
    server.close()


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Chroma server that stays up."""
    if named := os.environ.get("FLUXMEM_TEST_CHROMA"):
        yield named
        return
    if Chroma.missing:
        pytest.skip(f"FLUXMEM_TEST_CHROMA is not set, and {Chroma.missing}")
    server = Chroma(tmp_path_factory.mktemp("servers") / "chroma")
    server.start()
    yield server.address
    server.stop()


@pytest.fixture
def address(postgres: str) -> Iterator[str]:
    """A schema of its own in Postgres."""
    with schema(postgres) as found:
        yield found


@pytest.fixture
def on_servers(monkeypatch: pytest.MonkeyPatch, postgres: str, chroma: str) -> Iterator[None]:
    """Every directory that a test opens stands for a schema in Postgres, with vectors in the Chroma server, which is asked first."""
    opened = opening.acquire
    with contextlib.ExitStack() as schemas:
        known: dict[str, str] = {}

        def acquire(address, embeddings, config):
            directory = str(address)
            if "://" not in directory:
                if directory not in known:
                    name = f"t{hashlib.sha256(directory.encode()).hexdigest()[:16]}"
                    known[directory] = schemas.enter_context(schema(postgres, name))
                address, config = known[directory], config.model_copy(update={"chroma": chroma, "exact_max": 0})
            return opened(address, embeddings, config)

        monkeypatch.setattr(opening, "acquire", acquire)
        yield
