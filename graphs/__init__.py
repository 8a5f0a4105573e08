"""Graphs and factories that `langgraph.json` names."""
