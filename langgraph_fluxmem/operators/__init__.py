"""Judgement: rules, or a chat model, behind one protocol (`Operators`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_fluxmem.operators.protocol import Cost, Judgement, Operators, Task
from langgraph_fluxmem.operators.rules import RuleOperators

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["Cost", "Judgement", "Operators", "RuleOperators", "Task", "resolve_operators"]


def resolve_operators(model: BaseChatModel | str | Operators | None) -> Operators:
    """Who judges: rules for None, a chat model or the name of one (``"openai:gpt-4.1-mini"``) with rules to fall back to, or `Operators`.

    Raises:
        ConfigError: none of these. MissingExtraError: the package for that name is not installed.
    """
    if model is None:
        return RuleOperators()
    if isinstance(model, Operators):
        return model
    from langgraph_fluxmem.operators.model import ChatModelOperators  # noqa: PLC0415 - chat models are loaded by those who use one

    return ChatModelOperators(model)
