"""How the memory nodes read a graph's state: the situation to recall for, and the steps an episode was made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from langgraph_fluxmem.errors import ConfigError, StateError
from langgraph_fluxmem.learning import noted
from langgraph_fluxmem.schema import Action, Feedback, Origin, Situation, Step

Reader = str | Callable[[Any], Any]
"""A state key, or a function of the state."""

MESSAGES = "messages"
_MISSING = object()


def get(state: Any, key: str, default: Any = None) -> Any:
    """A value of a state that is a mapping, a dataclass or a pydantic model."""
    value = state.get(key, _MISSING) if isinstance(state, Mapping) else getattr(state, key, _MISSING)
    return default if value is _MISSING or value is None else value


@dataclass(frozen=True, slots=True)
class StateReader:
    """Where in the state task, observation, notes, action and admissible actions stand.

    With ``task="messages"`` everything is read from the messages after the cursor: the first human message is the task, tool calls are
    the actions, tool results the observations. Otherwise each is a key, or a function of the state; only `task` is needed. `result` is
    what the last action returned (default: the observation after it); without `notes`, results that changed nothing and name what the
    task names are kept as notes (an instruction that was read).
    """

    task: Reader = MESSAGES
    observation: Reader | None = None
    notes: Reader | None = None
    action: Reader | None = None
    result: Reader | None = None
    actions: Reader | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict[str, Origin])
    """Where fields come from, other than usual."""

    def __post_init__(self) -> None:
        if self.task == MESSAGES and any((self.observation, self.notes, self.action, self.result, self.actions)):
            raise ConfigError(
                "task='messages' reads observation, notes and actions from the messages; "
                "give `task` a key or a function of its own to name the others"
            )

    @property
    def from_messages(self) -> bool:
        """Whether the episode is read from the messages."""
        return self.task == MESSAGES

    def situation(self, state: Any, steps: Sequence[Step]) -> Situation:
        """The situation to recall for; `steps` are those of the episode so far (unused with messages).

        Raises:
            StateError: the task is missing or empty.
        """
        if self.from_messages:
            return self._message_situation(state)
        task = self._read(state, self.task)
        if isinstance(task, Situation):
            return task
        if not isinstance(task, str) or not task.strip():
            raise StateError(f"state has no task: {self.task!r} gave {task!r}; put the instruction there, or name another key with `task=`")
        observation = self._read(state, self.observation)
        if self.notes is None:
            notes = [note for step in steps for note in step.notes]
        else:
            given = self._read(state, self.notes) or ()
            notes = [given] if isinstance(given, str) else [str(note) for note in given]
        return Situation(
            task=task,
            observation=observation if isinstance(observation, dict) else str(observation or ""),
            notes=tuple(dict.fromkeys(notes)),
            done=tuple(step.action for step in steps if step.action is not None),
        )

    def step(self, state: Any, before: Situation, feedback: Feedback, shown: Sequence[str]) -> tuple[Step, bool] | None:
        """The step that was just taken from the situation `before`, and whether it changed the observation; None when the state names
        no action."""
        action: Action | None = self._read(state, self.action)
        if action is None:
            return None
        after = self._read(state, self.observation)
        changed = (after if isinstance(after, dict) else str(after or "")) != before.observation
        returned = after if self.result is None else self._read(state, self.result)
        result = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False) if returned else ""
        if self.notes is not None:
            notes = tuple(note for note in self.situation(state, ()).notes if note not in before.notes)
        else:
            told = self.result is not None and result not in before.notes and noted(before.task, action, result, changed=changed)
            notes = (result,) if told else ()
        facts = set(shown)
        step = Step(
            observation=before.observation,
            action=action,
            result=result,
            progress=feedback.progress or 0.0,
            loss=feedback.loss,
            refused=feedback.outcome == "failure" and not feedback.done and not (feedback.progress or 0.0) > 0,
            notes=notes,
            actions=tuple(self._read(state, self.actions) or ()),
            shown=tuple(shown),
            used=tuple(named for named in feedback.used if named in facts),
            harmful=tuple(named for named in feedback.harmful if named in facts),
            origins=self._step_origins(),
        )
        return step, changed

    def message_steps(self, state: Any, shown: Sequence[str] = (), *, task: str = "") -> tuple[str, tuple[Step, ...], str | None]:
        """Task, steps and the id of the last message, from the messages after the cursor. Parallel tool calls become steps in order.

        `task` is what was recalled for, in case its message was removed since.
        """
        messages = self._since_cursor(state)
        task = self._task_of(messages, state, task)
        results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
        steps: list[Step] = []
        seen = ""
        for message in messages:
            if not isinstance(message, AIMessage):
                continue
            for call in message.tool_calls:
                result = results.get(call["id"] or "")
                text = result.text if result is not None else ""
                failed = result is not None and result.status == "error"
                steps.append(
                    Step(
                        observation=seen,
                        action={"name": call["name"], "args": call["args"]},
                        result=text,
                        refused=failed,
                        shown=tuple(shown),
                        origins=self._step_origins(),
                    )
                )
                seen = text
            if not message.tool_calls and message.text:
                answered: dict[Any, Origin] = {**self._step_origins(), "result": "agent"}
                steps.append(Step(observation=seen, action=None, result=message.text, shown=tuple(shown), origins=answered))
        return task, tuple(steps), messages[-1].id if messages else None

    def _step_origins(self) -> dict[Any, Origin]:
        return {name: origin for name, origin in self.origins.items() if name != "task"}

    def _message_situation(self, state: Any) -> Situation:
        messages = self._since_cursor(state)
        results = [message.text for message in messages if isinstance(message, ToolMessage)]
        done: list[Action] = [
            {"name": call["name"], "args": call["args"]}
            for message in messages
            if isinstance(message, AIMessage)
            for call in message.tool_calls
        ]
        return Situation(task=self._task_of(messages, state), observation=results[-1] if results else "", done=tuple(done))

    def _since_cursor(self, state: Any) -> list[AnyMessage]:
        """The messages of this episode: those after the last one committed. Where that one was removed (a summary took its place), those
        from the last human message on."""
        messages = _without_summaries(state)
        cursor = get(state, "memory_cursor")
        if cursor is None:
            return messages
        for index in range(len(messages) - 1, -1, -1):
            if messages[index].id == cursor:
                return messages[index + 1 :]
        human = [index for index, message in enumerate(messages) if isinstance(message, HumanMessage)]
        return messages[human[-1] :] if human else messages

    def _task_of(self, messages: Sequence[AnyMessage], state: Any, known: str = "") -> str:
        own = [message.text for message in messages if isinstance(message, HumanMessage)]
        earlier = [message.text for message in _without_summaries(state) if isinstance(message, HumanMessage)]
        task = own[0] if own else known or (earlier[-1] if earlier else "")
        if not task.strip():
            raise StateError("state['messages'] holds no human message with text, so there is no task to recall for")
        return task

    @staticmethod
    def _read(state: Any, reader: Reader | None) -> Any:
        if reader is None:
            return None
        return reader(state) if callable(reader) else get(state, reader)


def _without_summaries(state: Any) -> list[AnyMessage]:
    """The messages, but for those that a summarisation put in the place of others: they are nobody's task."""
    messages: list[AnyMessage] = list(get(state, MESSAGES, ()))
    return [message for message in messages if message.additional_kwargs.get("lc_source") != "summarization"]
