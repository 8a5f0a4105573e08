"""The demonstration: a LangGraph agent learns to cook in TextWorld's kitchens."""
