"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: looking back and undoing."""

import os

import pytest

from .adopting import adopt

pytestmark = [
    pytest.mark.usefixtures("on_servers"),
    pytest.mark.skipif(not os.environ.get("FLUXMEM_TEST_FULL"), reason="FLUXMEM_TEST_FULL is not set: it takes minutes"),
]
adopt(globals(), "tests.past.test_as_of", "tests.past.test_undo")
