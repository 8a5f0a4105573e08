"""Projections of the ledger for search: the exact tier, lexical postings and Chroma, each following the log by its own cursor."""
