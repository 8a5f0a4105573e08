"""Memory for LangGraph agents that rewires itself."""
