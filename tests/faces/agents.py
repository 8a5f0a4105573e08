"""Scripted agents for the tests of the faces: a model that says what it was given, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr


class Scripted(GenericFakeChatModel):
    """Says one message after the other; `prompts` are the messages of each call."""

    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        return self._prompts

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        del tools, kwargs
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        self._prompts.append(list(messages))
        return super()._generate(messages, *args, **kwargs)

    def system(self, call: int) -> str:
        """The system message of a call; empty where it had none."""
        return next((message.text for message in self._prompts[call] if message.type == "system"), "")


def says(*messages: AIMessage | str) -> Scripted:
    def every() -> Iterator[AIMessage | str]:
        yield from messages

    return Scripted(messages=every())


def calls(name: str, id: str | None = None, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": id or f"{name}-{len(str(args))}"}])
