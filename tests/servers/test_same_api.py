"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: calls."""

import pytest

from langgraph_fluxmem import FluxMem

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.api.test_async", "tests.api.test_reset_learning")


def test_a_directory_stands_for_servers_here(tmp_path):
    """So that what is adopted really runs there."""
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        assert mem.engine.ledger.database.name.startswith("postgresql+psycopg://")
        mem.remember("Ada is on the team plan.")
        assert mem.engine.projections.flush(60)
        assert mem.engine.projections._chroma.with_store(len) == 1
        assert mem.recall("team plan").facts
    assert list(tmp_path.iterdir()) == []
