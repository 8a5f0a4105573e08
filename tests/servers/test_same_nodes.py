"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: nodes in graphs."""

import pytest

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.nodes.test_exactly_once", "tests.nodes.test_loop")
