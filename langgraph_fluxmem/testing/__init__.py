"""Testing helpers for users of the package; `langgraph_fluxmem.testing.conformance` is the kit for LangGraph stores."""
