"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: consolidation."""

import pytest

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.consolidation.test_consolidation_run")
