from __future__ import annotations

import pytest
from index_writer import Writer

from langgraph_fluxmem.config import Config
from langgraph_fluxmem.index.projections import Projections
from langgraph_fluxmem.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "m") as ledger:
        yield ledger


@pytest.fixture
def write(ledger):
    return Writer(ledger)


@pytest.fixture
def projections(ledger):
    projections = Projections(ledger, Config(chroma="off"), directory=None)
    yield projections
    projections.close()
