"""Every public call, made for one tenant: what it is given carries the tenant's mark, what it gives is searched for other marks.

A call is a function of the `House` (the memory and what each tenant has of it) and of a random source; it returns, or raises, what is to be
searched. Calls are found by the name of what they call: a public method without one fails `test_every_public_call_has_a_rule`.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from langgraph.graph.message import MessagesState
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from pydantic import BaseModel

from langgraph_fluxmem import Activation, Episode, Feedback, FluxMem, FluxMemState, FluxMemStore, Situation, Step, memory_tools
from langgraph_fluxmem.cli import main
from langgraph_fluxmem.errors import FluxMemError
from langgraph_fluxmem.kv import FluxMemKVStore
from langgraph_fluxmem.testing.models import ScriptedChatModel

MARKS = {"ann": "zqannqz", "bob": "zqbobqz", "cyd": "zqcydqz", "shared": "zqpubqz"}
SPACES = {"ann": ("acme", "ann"), "bob": ("acme", "bob"), "cyd": ("acmex", "ann"), "shared": ("acme", "shared")}
TENANTS = ("ann", "bob", "cyd")
THINGS = ("door", "plan", "kettle", "invoice")
EVERYONE = "the red door opens at nine"
"""What all tenants say alike."""


@dataclass
class House:
    """The memory, and the ids that each tenant was given."""

    mem: FluxMem
    path: Path
    model: ScriptedChatModel
    ids: dict[str, list[str]] = field(default_factory=lambda: {who: [] for who in SPACES})
    episodes: dict[str, list[str]] = field(default_factory=lambda: {who: [] for who in SPACES})
    operations: dict[str, list[str]] = field(default_factory=lambda: {who: [] for who in SPACES})
    activations: dict[str, list[Activation]] = field(default_factory=lambda: {who: [] for who in SPACES})
    count: int = 0

    def text(self, who: str, chance: random.Random) -> str:
        """Something a tenant says: much like what others say, but for the mark."""
        return f"{MARKS[who]} keeps the {chance.choice(THINGS)} number {chance.randrange(5)} by the red door"

    def any_id(self, who: str, chance: random.Random, kind: str = "ids") -> str:
        """An id of the tenant's, or, as often, one of another's."""
        owner = who if chance.random() < 0.5 else chance.choice(TENANTS)
        return chance.choice(getattr(self, kind)[owner] or ["none"])

    def number(self) -> int:
        self.count += 1
        return self.count


Call = Callable[[House, str, random.Random], Any]
CALLS: dict[str, Call] = {}


def call(name: str) -> Callable[[Call], Call]:
    def keep(function: Call) -> Call:
        CALLS[name] = function
        return function

    return keep


def also(chance: random.Random) -> list[tuple[str, ...]]:
    return [SPACES["shared"]] if chance.random() < 0.3 else []


@call("remember")
def _remember(house: House, who: str, chance: random.Random) -> Any:
    text = house.text(who, chance)
    document = Document(text, metadata={"source": MARKS[who], "speaker": MARKS[who]}, id=f"d{chance.randrange(4)}")
    found = house.mem.remember([EVERYONE, text, document], namespace=SPACES[who])
    assert not set(found) & {id_ for other in SPACES if other != who for id_ in house.ids[other]}  # nobody learns that another has it
    house.ids[who] += found
    return found


@call("recall")
def _recall(house: House, who: str, chance: random.Random) -> Any:
    others = [mark[:-1] for mark in MARKS.values()]  # near enough for an index of character n-grams
    query = chance.choice([EVERYONE, house.text(who, chance), *others, Situation(task="open the red door", observation="a door")])
    activation = house.mem.recall(
        query, namespace=SPACES[who], also=also(chance), k=chance.choice([1, 50]), preset=chance.choice(["fast", "paths", None])
    )
    house.activations[who].append(activation)
    return activation


@call("activation")
def _activation(house: House, who: str, chance: random.Random) -> Any:
    mine = house.activations[who]
    if not mine:
        return None
    state = chance.choice(mine).model_dump(mode="json")
    return house.mem.activation({**state, "facts": [{**fact, "content": "", "metadata": {}} for fact in state["facts"]]})


def _advise(house: House, who: str, chance: random.Random) -> Any:
    mine = house.activations[who]
    return chance.choice(mine).advise(["open door", "close door", {"name": "click", "args": {"text": "door"}}]) if mine else None


@call("refine")
def _refine(house: House, who: str, chance: random.Random) -> Any:
    mine = house.activations[who]
    if not mine:
        return None
    feedback = Feedback(outcome="failure", detail=MARKS[who], harmful=(house.any_id(who, chance),) * (chance.random() < 0.5))
    refined = house.mem.refine(chance.choice(mine), feedback, attempt=house.text(who, chance))
    house.activations[who].append(refined)
    return refined


@call("learn")
def _learn(house: House, who: str, chance: random.Random) -> Any:
    feedback = Feedback(
        outcome=chance.choice(["success", "failure"]), detail=MARKS[who], used=(house.any_id(who, chance),) * (chance.random() < 0.7)
    )
    if chance.random() < 0.4:
        applied = house.mem.learn(house.any_id(who, chance, "episodes"), feedback, namespace=SPACES[who])
    elif house.activations[who]:
        applied = house.mem.learn(chance.choice(house.activations[who]), feedback)
    else:
        return None
    house.operations[who].append(applied.operation)
    return applied


def episode(house: House, who: str, chance: random.Random) -> Episode:
    """An episode that others do alike, with words of the tenant's own; now and then under another's id."""
    thing = chance.choice(THINGS[:2])
    steps = tuple(
        Step(
            observation=f"a {thing} of {MARKS[who]}",
            action=f"{verb} {thing}",
            result=MARKS[who],
            notes=(f"{MARKS[who]} {thing}",),
            progress=1.0,
        )
        for verb in ("find", "open", "close")
    )
    name = house.any_id(who, chance, "episodes") if chance.random() < 0.2 else f"{who}-{house.number()}"
    outcome = chance.choice(["success", "success", "failure", "unknown"])
    return Episode(task=f"open the {thing} of {MARKS[who]}", steps=steps, outcome=outcome, id=name, metadata={"who": MARKS[who]})


@call("commit")
def _commit(house: House, who: str, chance: random.Random) -> Any:
    made = episode(house, who, chance)
    committed = house.mem.commit(made, namespace=SPACES[who])
    house.episodes[who].append(made.id or "")
    house.operations[who].append(committed)
    return committed


@call("consolidate")
def _consolidate(house: House, who: str, chance: random.Random) -> Any:
    for _ in range(3):
        _commit(house, who, chance)
    told: list[Any] = []
    report = house.mem.consolidate(namespace=SPACES[who], thresholds={"warm_up": 1}, progress=told.append)
    if report.operation:
        house.operations[who].append(report.operation)
    return report, str(report), told


@call("shorten")
def _shorten(house: House, who: str, chance: random.Random) -> Any:
    told: list[Any] = []

    def replay(given: Any) -> bool:
        told.append(given)
        return chance.random() < 0.5

    tried = chance.choice(house.episodes[who] or ["none"])
    return house.mem.shorten(tried, RunnableLambda(replay), namespace=SPACES[who]), told


@call("undo")
def _undo(house: House, who: str, chance: random.Random) -> Any:
    return house.mem.undo(chance.choice(house.operations[who] or ["none"]), cascade=chance.random() < 0.5)


@call("explain")
def _explain(house: House, who: str, chance: random.Random) -> Any:
    if house.activations[who] and chance.random() < 0.4:
        told = house.mem.explain(chance.choice(house.activations[who]))
    else:
        target = house.any_id(who, chance, chance.choice(["ids", "episodes", "operations"]))
        told = house.mem.explain(target, namespace=SPACES[who])
    return told, str(told), told._repr_html_()


@call("forget")
def _forget(house: House, who: str, chance: random.Random) -> Any:
    dry = chance.random() < 0.5
    if chance.random() < 0.7:
        return house.mem.forget(house.any_id(who, chance), namespace=SPACES[who], dry_run=dry)
    return house.mem.forget(namespace=SPACES[who], source=MARKS[chance.choice(TENANTS)], dry_run=dry)


@call("as_of")
def _as_of(house: House, who: str, chance: random.Random) -> Any:
    head = house.mem.engine.ledger.head()
    past = house.mem.as_of(position=chance.randint(max(1, head // 2), head))
    activation = past.recall(EVERYONE, namespace=SPACES[who], k=20)
    items = past.store.search(SPACES[who], limit=50)
    return activation, activation.advise(["open door"]), past.topics(namespace=SPACES[who]), items


@call("export")
def _export(house: House, who: str, chance: random.Random) -> Any:
    out = io.StringIO()
    told: list[Any] = []
    done = house.mem.export(out, namespaces=[SPACES[who]], deep=True, vectors=chance.random() < 0.5, progress=told.append)
    return done, str(done), told, out.getvalue()


@call("import_")
def _import(house: House, who: str, chance: random.Random) -> Any:
    out = io.StringIO()
    house.mem.export(out, namespaces=[SPACES[who]], deep=True)
    into = {SPACES[who]: (*SPACES[who], "copy")} if chance.random() < 0.5 else None  # there already: refused
    return house.mem.import_(io.StringIO(out.getvalue()), into=into)


def _items(house: House, who: str, chance: random.Random) -> str:
    owner = who if chance.random() < 0.5 else chance.choice(TENANTS)
    return chance.choice([item.id for item in house.mem.quarantine(namespace=SPACES[owner])] or ["q-none"])


def _here(name: str) -> None:
    CALLS[name] = lambda house, who, chance: getattr(house.mem, name)(namespace=SPACES[who])


for plain in ("topics", "notes", "log", "reset_learning", "rehearsals"):
    _here(plain)
CALLS["quarantine"] = lambda house, who, chance: house.mem.quarantine(namespace=SPACES[who], decided=True)
CALLS["release"] = lambda house, who, chance: house.mem.release(_items(house, who, chance), namespace=SPACES[who])
CALLS["discard"] = lambda house, who, chance: house.mem.discard(_items(house, who, chance), namespace=SPACES[who])
CALLS["activation.advise"] = _advise


@call("as_retriever")
def _retriever(house: House, who: str, chance: random.Random) -> Any:
    retriever = house.mem.as_retriever(namespace=("{company}", "{user}"), also=also(chance), k=20)
    company, user = SPACES[who]
    return retriever.invoke(house.text(who, chance), {"configurable": {"company": company, "user": user}})


@call("memory_tools")
def _tools(house: House, who: str, chance: random.Random) -> Any:
    search, save, skill = memory_tools(house.mem, namespace=SPACES[who], also=also(chance))
    return [save.invoke({"text": house.text(who, chance)}), search.invoke({"query": EVERYONE}), skill.invoke({"task": "open the red door"})]


class State(MessagesState, FluxMemState):
    """Of the graph that a tenant runs."""


@call("nodes")
def _nodes(house: House, who: str, chance: random.Random) -> Any:
    nodes = house.mem.nodes(namespace=("{company}", "{user}"), also=also(chance))
    builder = StateGraph(State)
    for name in ("retrieve", "refine", "commit_episode"):
        builder.add_node(name, getattr(nodes, name))
    builder.add_edge(START, "retrieve").add_edge("retrieve", "refine").add_edge("refine", "commit_episode")
    company, user = SPACES[who]
    given = {
        "messages": [HumanMessage(f"open the red door of {MARKS[who]}")],
        "memory_feedback": {"outcome": "success", "detail": MARKS[who]},
    }
    return builder.compile().invoke(given, {"configurable": {"company": company, "user": user}})


# ------------------------------------------------------------------------------------------------------------------------- the store
def _place(who: str, chance: random.Random) -> tuple[str, ...]:
    return (*SPACES[who], "notes", chance.choice("xy"))


@call("store.put")
def _put(house: House, who: str, chance: random.Random) -> Any:
    value = {"text": house.text(who, chance), "mark": MARKS[who], "kind": "door", "n": chance.randrange(5)}
    return house.mem.store.put(_place(who, chance), f"k{chance.randrange(3)}", value)


@call("store.search")
def _search(house: House, who: str, chance: random.Random) -> Any:
    filters: list[Any] = [None, {"kind": "door"}, {"n": {"$gte": 0}}, {"mark": {"$ne": "x"}}, {"missing": None}]
    prefix = chance.choice([SPACES[who], (*SPACES[who], "notes"), _place(who, chance)])
    return house.mem.store.search(prefix, query=chance.choice([None, EVERYONE, "door"]), filter=chance.choice(filters), limit=50)


@call("store.list_namespaces")
def _namespaces(house: House, who: str, chance: random.Random) -> Any:
    suffix = chance.choice([None, ("*", "x"), ("*", "*", "*")])
    found = house.mem.store.list_namespaces(prefix=(*SPACES[who], *chance.choice([(), ("*",)])), suffix=suffix)
    assert all(space[:2] == SPACES[who] for space in found)
    return found


@call("store.batch")
def _batch(house: House, who: str, chance: random.Random) -> Any:
    place = _place(who, chance)
    match = (MatchCondition("prefix", SPACES[who]), MatchCondition("suffix", ("*",)))
    put = PutOp(place, "k0", chance.choice([None, {"text": house.text(who, chance), "mark": MARKS[who]}]))
    return house.mem.store.batch([GetOp(place, "k0"), SearchOp(SPACES[who], query="door"), ListNamespacesOp(match_conditions=match), put])


CALLS["store.get"] = lambda house, who, chance: house.mem.store.get(_place(who, chance), f"k{chance.randrange(3)}")
CALLS["store.delete"] = lambda house, who, chance: house.mem.store.delete(_place(who, chance), f"k{chance.randrange(3)}")
CALLS["store.sweep_ttl"] = lambda house, who, chance: house.mem.store.sweep_ttl()


def _kv(house: House, who: str) -> FluxMemKVStore[Any]:
    return FluxMemKVStore(house.mem, namespace=(*SPACES[who], "kv"))


CALLS["kv.mset"] = lambda house, who, chance: _kv(house, who).mset([(f"key{chance.randrange(3)}", house.text(who, chance))])
CALLS["kv.mget"] = lambda house, who, chance: _kv(house, who).mget(["key0", "key1", "key2"])
CALLS["kv.mdelete"] = lambda house, who, chance: _kv(house, who).mdelete([f"key{chance.randrange(3)}"])
CALLS["kv.yield_keys"] = lambda house, who, chance: list(_kv(house, who).yield_keys(prefix="key"))


# ----------------------------------------------------------------------------------------------------------------- the command line
COMMANDS: dict[str, Callable[[House, str, random.Random], list[str]]] = {
    "stats": lambda house, who, chance: [],
    "recall": lambda house, who, chance: [],
    "explain": lambda house, who, chance: [],
    "log": lambda house, who, chance: [],
    "consolidate": lambda house, who, chance: [],
    "quarantine": lambda house, who, chance: ["--all"],
}
"""Commands about one namespace, with their further options."""


def _command(name: str) -> Call:
    def run(house: House, who: str, chance: random.Random) -> Any:
        first = {"recall": [EVERYONE], "explain": [house.any_id(who, chance)]}.get(name, [])
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main(
                [
                    name,
                    *first,
                    str(house.path),
                    "--namespace",
                    ".".join(SPACES[who]),
                    *COMMANDS[name](house, who, chance),
                    *["--json"] * (chance.random() < 0.5),
                ]
            )
        return out.getvalue()

    return run


CALLS |= {f"command {name}": _command(name) for name in COMMANDS}

# ---------------------------------------------------------------------------------------------------------------- of the whole memory
WHOLE: dict[str, Callable[[House], Any]] = {
    "verify": lambda house: house.mem.verify(),
    "rebuild": lambda house: house.mem.rebuild(),
    "flush": lambda house: house.mem.flush(1.0),
    "compact": lambda house: house.mem.compact(),
    "notices": lambda house: house.mem.notices,
    "redacted": lambda house: house.mem.redacted,
    "log everywhere": lambda house: [operation for operation in house.mem.log(limit=1000)],
}
"""For whoever opened the memory: what these say names nobody's content."""
OTHERWISE = {
    "open": "makes the memory",
    "close": "ends it",
    "store": "an attribute; its calls are tried",
    "engine": "the machinery, no call of a user",
    "config": "options, no content",
    "operators": "who judges",
    "id": "of the memory",
    "reembed": "of a memory that is not open; its texts stay where they are",
    "on_event": "tried by the machine: every event is searched",
}
STORE_OTHERWISE = {
    "from_conn_string": "opens a memory",
    "setup": "makes tables",
    "start_ttl_sweeper": "runs sweep_ttl",
    "stop_ttl_sweeper": "ends it",
    "close": "ends the memory",
    "mem": "the memory",
    "supports_ttl": "a constant",
    "ttl_config": "options, no content",
}
COMMANDS_OTHERWISE = {"init", "undo", "verify", "rebuild", "compact", "forget", "backup", "doctor", "demo", "schedule", "view"} | {
    "export",
    "import",
    "reembed",
}
"""About the whole memory, or (`view`, `forget`) tried by tests of their own."""


def said(value: Any) -> str:
    """All that an output says."""
    parts = [repr(value), str(value)]
    if isinstance(value, BaseModel):
        parts.append(value.model_dump_json())
    if isinstance(value, BaseMessage):
        parts.append(json.dumps(value.additional_kwargs, default=repr))
    if isinstance(value, BaseException):
        parts += [repr(value.args), *(said(cause) for cause in (value.__cause__, value.__context__) if cause is not None)]
    if isinstance(value, dict):
        parts += [said(inner) for inner in value.values()]
    if isinstance(value, (list, tuple)):
        parts += [said(inner) for inner in value]
    return "\n".join(parts)


def attempted(house: House, name: str, who: str, seed: int) -> Any:
    """What a call gives, or the error of ours that it raises."""
    try:
        return CALLS[name](house, who, random.Random(seed))
    except FluxMemError as error:
        return error


__all__ = [
    "CALLS",
    "COMMANDS",
    "COMMANDS_OTHERWISE",
    "MARKS",
    "OTHERWISE",
    "SPACES",
    "STORE_OTHERWISE",
    "TENANTS",
    "WHOLE",
    "FluxMemStore",
    "House",
]
