"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: facts."""

import pytest

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.ingestion.test_ingestion", "tests.ingestion.test_gate")
