"""`ChatModelOperators`: judgement by any chat model, with structured output, bounded retries, counted cost, and rules to fall back to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig

from langgraph_fluxmem.errors import ConfigError, MissingExtraError
from langgraph_fluxmem.operators.prompts import complaint, messages
from langgraph_fluxmem.operators.protocol import Judgement, Operators, T, Task
from langgraph_fluxmem.operators.rules import RuleOperators

ATTEMPTS = 2
"""Calls for one task at most: the first, and one more that is told what was wrong."""
GIVE_UP = 3
"""Tasks in a row whose every call raised, after which the model is left alone for `RETRY_AFTER`."""
RETRY_AFTER = 60.0
"""Seconds."""
_CONFIG: RunnableConfig = {"tags": ["nostream"], "run_name": "fluxmem_operator"}
"""Tokens of these calls stay out of the stream of the graph they run in."""

Conversation = Generator[list[BaseMessage], Any, Judgement[Any]]


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, raw: object) -> None:
        self.calls += 1
        usage = raw.usage_metadata if isinstance(raw, AIMessage) else None
        if usage is not None:
            self.input_tokens += usage["input_tokens"]
            self.output_tokens += usage["output_tokens"]


class ChatModelOperators:
    """Asks a chat model; what it does not answer in a usable way the rules answer, and the judgement says why.

    Args:
        model: a chat model, or its name for ``init_chat_model`` (``"openai:gpt-4.1-mini"``).
        attempts: calls for one task at most.
        fallback: who answers when the model does not; the rules by default.
        clock: seconds that never go back, for how long a model that raises is left alone.
        method: how structured output is asked for; ``"function_calling"`` is what most models and servers know.

    Raises:
        ConfigError: `model` is neither, or `attempts` is below 1. MissingExtraError: the package for that name is not installed.

    """

    def __init__(
        self,
        model: BaseChatModel | str,
        *,
        attempts: int = ATTEMPTS,
        fallback: Operators | None = None,
        method: str = "function_calling",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if attempts < 1:
            raise ConfigError(f"attempts is {attempts}; a task takes at least one call")
        self.model = _model(model)
        self.attempts = attempts
        self.fallback = fallback or RuleOperators()
        self.method = method
        self._structured: dict[type[Any], Runnable[Any, Any]] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self._silent = 0
        self._until = 0.0

    def judge(self, task: Task[T]) -> Judgement[T]:
        """Ask the model, or the rules when it fails."""
        talk = self._conversation(task)
        asked = next(talk, None)
        while asked is not None:
            try:
                answer: Any = self._model_for(task).invoke(asked, _CONFIG)
            except Exception as error:  # noqa: BLE001 - providers raise classes of their own; the judgement names it
                answer = error
            try:
                asked = talk.send(answer)
            except StopIteration as stop:
                return cast("Judgement[T]", stop.value)
        return self._by_rules(task, _Tally(), self._given_up())

    async def ajudge(self, task: Task[T]) -> Judgement[T]:
        """Async twin of `judge`."""
        talk = self._conversation(task)
        asked = next(talk, None)
        while asked is not None:
            try:
                answer: Any = await self._model_for(task).ainvoke(asked, _CONFIG)
            except Exception as error:  # noqa: BLE001 - as in `judge`
                answer = error
            try:
                asked = talk.send(answer)
            except StopIteration as stop:
                return cast("Judgement[T]", stop.value)
        return self._by_rules(task, _Tally(), self._given_up())

    def _conversation(self, task: Task[Any]) -> Conversation:
        """Yields what to ask, takes the answer (or the exception), returns the judgement. Yields nothing once the model was given up."""
        tally = _Tally()
        if self._silent >= GIVE_UP and self._clock() < self._until:
            return self._by_rules(task, tally, self._given_up())
        asked = messages(task)
        problem = ""
        raised = 0
        attempts = self.attempts if task.attempts is None else min(self.attempts, task.attempts)
        for _ in range(attempts):
            answer = yield asked
            if isinstance(answer, Exception):
                tally.add(None)
                raised += 1
                problem = f"the model raised {type(answer).__name__}: {answer}"
                continue
            raw = answer.get("raw")
            tally.add(raw)
            value, problem = self._read(task, answer)
            if value is not None:
                self._heard(raised=False)
                return Judgement(value, "model", tally.calls, tally.input_tokens, tally.output_tokens)
            asked = [*asked, *_said(raw), complaint(problem)]
        self._heard(raised=raised == attempts)
        return self._by_rules(task, tally, problem)

    def _read(self, task: Task[Any], answer: dict[str, Any]) -> tuple[Any, str]:
        """(value, "") when the answer can be used, else (None, what is wrong)."""
        value = answer.get("parsed")
        if isinstance(value, dict):
            try:
                value = task.answer.model_validate(value)
            except ValueError as error:
                return None, f"the answer does not fit: {_first_line(error)}"
        if not isinstance(value, task.answer):
            error = answer.get("parsing_error")
            return None, f"the answer is not structured: {_first_line(error)}" if error else "the answer is not structured"
        problem = task.check(value)
        return (value, "") if problem is None else (None, problem)

    def _model_for(self, task: Task[Any]) -> Runnable[Any, Any]:
        with self._lock:
            found = self._structured.get(task.answer)
            if found is None:
                found = self.model.with_structured_output(task.answer, include_raw=True, method=self.method)
                self._structured[task.answer] = found
            return found

    def _heard(self, *, raised: bool) -> None:
        with self._lock:
            self._silent = self._silent + 1 if raised else 0
            self._until = self._clock() + RETRY_AFTER

    def _given_up(self) -> str:
        return f"the model raised for {GIVE_UP} tasks in a row and is left alone for {RETRY_AFTER:.0f} seconds"

    def _by_rules(self, task: Task[T], tally: _Tally, why: str) -> Judgement[T]:
        answer = self.fallback.judge(task)
        return Judgement(
            answer.value,
            answer.by,
            tally.calls + answer.calls,
            tally.input_tokens + answer.input_tokens,
            tally.output_tokens + answer.output_tokens,
            fallback=why,
        )


def _model(model: object) -> BaseChatModel:
    if isinstance(model, BaseChatModel):
        return model
    if not isinstance(model, str) or not model:
        raise ConfigError(f"model is {model!r}; give a chat model, or a name such as 'openai:gpt-4.1-mini'")
    try:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415 - optional
    except ImportError:
        raise MissingExtraError(f"the model name {model!r} needs langchain; pip install 'langgraph_fluxmem[openai]'") from None
    try:
        return init_chat_model(model)
    except ImportError as error:
        raise MissingExtraError(f"the model {model!r} needs a package: {_first_line(error)}") from None
    except ValueError as error:
        raise ConfigError(f"the model {model!r}: {_first_line(error)}") from None
    except Exception as error:  # what a provider raises, for instance where its key is missing
        raise ConfigError(f"the model {model!r} could not be made: {type(error).__name__}: {_first_line(error)}") from error


def _said(raw: object) -> Sequence[BaseMessage]:
    """The model's answer as text, so that it can be told what is wrong: a tool call would need a result."""
    if not isinstance(raw, AIMessage):
        return ()
    text = raw.text or "; ".join(str(call.get("args")) for call in (*raw.tool_calls, *raw.invalid_tool_calls))
    return (AIMessage(text[:2000]),) if text.strip() else ()


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:300] or type(error).__name__
