"""FluxMemStore keeps every rule of the kit, on both faces, with and without an index."""

from langgraph_fluxmem.testing.conformance import conformance_tests

test_conformance = conformance_tests("tests.store.factories:fluxmem")
