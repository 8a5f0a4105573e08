"""A conformance kit for implementations of `langgraph.store.base.BaseStore`.

    from langgraph_fluxmem.testing.conformance import conformance_tests
    from my_package import MyStore
    async def store(*, path, index=None, ttl=None):
        yield MyStore(path / "db", index=index, ttl=ttl)
    test_conformance = conformance_tests(store)

in a test file gives one pytest test for each rule, or from the command line:

    python -m langgraph_fluxmem.testing.conformance my_tests/stores.py:store
"""

from .embedding import DIMS, KitEmbeddings, SlowEmbeddings, aembed, cosine, embed
from .factories import FactoryError, StoreFactory, load_factory
from .helpers import in_threads, opened, refused, reproduce
from .model import Capabilities, Check, Offer, Result, Rule
from .processes import crash, other_process
from .pytest_plugin import conformance_tests
from .reference import ReferenceStore
from .registry import all_rules
from .report import Report, rules_markdown
from .runner import Conformance, plan

__all__ = [
    "DIMS",
    "Capabilities",
    "Check",
    "Conformance",
    "FactoryError",
    "KitEmbeddings",
    "Offer",
    "ReferenceStore",
    "Report",
    "Result",
    "Rule",
    "SlowEmbeddings",
    "StoreFactory",
    "aembed",
    "all_rules",
    "conformance_tests",
    "cosine",
    "crash",
    "embed",
    "in_threads",
    "load_factory",
    "opened",
    "other_process",
    "plan",
    "refused",
    "reproduce",
    "rules_markdown",
]
