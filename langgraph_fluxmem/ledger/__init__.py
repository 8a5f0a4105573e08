"""The ledger: the truth of a memory, in SQL. Everything else follows its log."""

from langgraph_fluxmem.ledger.ledger import Ledger
from langgraph_fluxmem.ledger.rows import Change, CommitRow, EdgeRow, EditKind, EvidenceRow, NodeRow, OperationRow

__all__ = ["Change", "CommitRow", "EdgeRow", "EditKind", "EvidenceRow", "Ledger", "NodeRow", "OperationRow"]
