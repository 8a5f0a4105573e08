"""Text as the lexical side of memory sees it: terms, languages, content hashes, checks, and splitting of long texts."""

from langgraph_fluxmem.text.function_words import ENGLISH as STOP_WORDS
from langgraph_fluxmem.text.languages import MARKED, language_of
from langgraph_fluxmem.text.pieces import QUESTION, check_text, content_hash, is_question, split
from langgraph_fluxmem.text.terms import VERSION, counted_terms, distinct_terms, index_terms, mark_of, query_terms, surfaces, terms

__all__ = [
    "MARKED",
    "QUESTION",
    "STOP_WORDS",
    "VERSION",
    "check_text",
    "content_hash",
    "counted_terms",
    "distinct_terms",
    "index_terms",
    "is_question",
    "language_of",
    "mark_of",
    "query_terms",
    "split",
    "surfaces",
    "terms",
]
