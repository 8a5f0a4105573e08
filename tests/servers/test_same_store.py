"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: the store."""

import pytest

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.store.conftest", "tests.store.test_one_memory", "tests.store.test_search")
