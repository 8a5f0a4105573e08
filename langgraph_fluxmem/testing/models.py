"""Scripted chat models: what a test lets a model say, without a network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

Said = str | dict[str, Any] | Exception
"""What a model says: plain text, the arguments of the tool it was bound to, or what it raises."""


class ScriptedChatModel(BaseChatModel):
    """A chat model that says what it was given: one answer after the other, the last one for ever, or what a function makes of the call.

    The function gets the name of the bound tool (``""`` without one) and the messages. `asked` records every call. Usage is counted in words.
    """

    answers: list[Said] = Field(default_factory=list[Said])
    answer: Callable[[str, list[BaseMessage]], Said] | None = None

    _asked: list[tuple[str, list[BaseMessage]]] = PrivateAttr(default_factory=list[tuple[str, list[BaseMessage]]])
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def asked(self) -> list[tuple[str, list[BaseMessage]]]:
        """(name of the bound tool, messages) of every call, oldest first."""
        return self._asked

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Bind tools as OpenAI schemas; the scripted answers call the first one."""
        kwargs.pop("tool_choice", None)
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> ChatResult:
        del stop, run_manager
        tools: list[dict[str, Any]] = kwargs.get("tools") or []
        name = tools[0]["function"]["name"] if tools else ""
        with self._lock:
            self._asked.append((name, messages))
            number = len(self._asked)
        said = self.answer(name, messages) if self.answer is not None else self.answers[min(number, len(self.answers)) - 1]
        if isinstance(said, Exception):
            raise said
        content = said if isinstance(said, str) else ""
        calls = [{"name": name, "args": said, "id": f"call_{number}", "type": "tool_call"}] if isinstance(said, dict) else []
        read = sum(len(str(message.text).split()) for message in messages)
        written = len((content or json.dumps(said, default=str)).split())
        usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        message = AIMessage(content, tool_calls=calls, usage_metadata=usage)  # type: ignore[arg-type]
        return ChatResult(generations=[ChatGeneration(message=message)])
