"""The public tests once more, on Postgres with a Chroma server that is asked before the exact tier: calls."""

import pytest

from .adopting import adopt

pytestmark = pytest.mark.usefixtures("on_servers")
adopt(globals(), "tests.api.test_async", "tests.api.test_reset_learning")
