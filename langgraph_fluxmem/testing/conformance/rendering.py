"""A failed check as code to run: the rule's own body, printed with the calls of the store and the values of the case."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .model import Check, Rule, Source

KIT = __package__ or "langgraph_fluxmem.testing.conformance"
MAX_LINES = 10

IMPORTS: Mapping[str, str] = {
    **dict.fromkeys(
        ("GetOp", "PutOp", "SearchOp", "ListNamespacesOp", "MatchCondition", "Item", "SearchItem", "InvalidNamespaceError"),
        "langgraph.store.base",
    ),
    **dict.fromkeys(("refused", "cosine", "embed", "aembed", "KitEmbeddings", "SlowEmbeddings", "in_threads", "reproduce"), KIT),
    "suppress": "contextlib",
    "MappingProxyType": "types",
    "UTC": "datetime",
    "datetime": "datetime",
    "timedelta": "datetime",
}
"""Names a rule's body may use, beside builtins and `MODULES`, and where a reproduction imports them from."""

MODULES = ("asyncio", "sys", "time")
TOOLS = ("reopen", "elsewhere", "crash")
METHODS = ("get", "put", "delete", "search", "list_namespaces", "batch")


def namespace() -> dict[str, Any]:
    """Every name of `IMPORTS` and `MODULES`, for the values that rules give as source."""
    names: dict[str, Any] = {name: importlib.import_module(name) for name in MODULES}
    for name, module in IMPORTS.items():
        names[name] = getattr(importlib.import_module(module), name)
    return names


def value_of(value: Any) -> Any:
    """`value`, or what it stands for if it is a `Source`."""
    return eval(value.code, namespace()) if isinstance(value, Source) else value  # noqa: S307 - the kit's own sources


class _Calls(ast.NodeTransformer):
    """`await s.put(...)` becomes `store.put(...)` or `await store.aput(...)`; a case's names become its values."""

    def __init__(self, check: Check, case: Mapping[str, Any], coroutines: frozenset[str], present: frozenset[str]) -> None:
        self.sync = check.face == "sync"
        self.case = case
        self.coroutines = coroutines
        self.present = present

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return node
        target = call.func.value
        if not isinstance(target, ast.Name) or target.id != "s":
            return node
        method = call.func.attr
        if method in METHODS:
            return self._on_store(method if self.sync else f"a{method}", call, awaited=not self.sync)
        if method == "pause":
            return _expression(f"{'time' if self.sync else 'await asyncio'}.sleep({ast.unparse(call.args[0])})")
        if method == "sweep":
            return self._own("sweep_ttl", [])
        if method in ("reopen", "crash"):
            made = ast.Call(ast.Name(method), call.args, [])
            return made if self.sync else ast.Await(made)
        if method == "elsewhere":
            code = ast.literal_eval(call.args[0])
            made = ast.Call(ast.Name(method), [ast.Constant(f"print(store.{code})" if self.sync else f"print(await store.a{code})")], [])
            return made if self.sync else ast.Await(made)
        return self._own(ast.literal_eval(call.args[0]), call.args[1:])

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """`await s.reopen()` gives the name `store` to the store that it opens."""
        self.generic_visit(node)
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "reopen":
            return ast.Assign([ast.Name("store")], node.value)
        return node

    def _own(self, method: str, args: list[ast.expr]) -> ast.AST:
        if method not in self.present:
            return ast.Constant(None)
        made = ast.Call(ast.Attribute(ast.Name("store"), method), args, [])
        return ast.Await(made) if method in self.coroutines else made

    def _on_store(self, method: str, call: ast.Call, *, awaited: bool) -> ast.AST:
        made = ast.Call(ast.Attribute(ast.Name("store"), method), call.args, call.keywords)
        return ast.Await(made) if awaited else made

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr == "store" and isinstance(node.value, ast.Name) and node.value.id == "s":
            return ast.Name("store")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self.case:
            return _expression(repr(self.case[node.id]))
        return node


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


@lru_cache(maxsize=1024)
def _function(rule: Rule) -> ast.FunctionDef | ast.AsyncFunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(rule.body))).body[0]
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        raise TypeError(f"rule {rule.id} is not a function")
    return tree


def _is_blank(statement: ast.stmt) -> bool:
    """A docstring, or what is left of a call the store does not have."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def render(check: Check, factory: str, store: object = None) -> str:
    """Runnable code for a check of a rule that is not a scenario. `store` tells which of its own methods are coroutines.

    The answer has at most `MAX_LINES` lines for every rule of the kit; a test holds the rules to that.
    """
    rule = check.rule
    own = {name for name in ("sweep_ttl", "setup", "start_ttl_sweeper", "stop_ttl_sweeper") if store is None or hasattr(store, name)}
    coroutines = frozenset(name for name in own if inspect.iscoroutinefunction(getattr(store, name, None)))
    case = rule.cases.get(check.case, {})
    function = ast.parse(ast.unparse(_function(rule))).body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    transformer = _Calls(check, case, coroutines, frozenset(own))
    body: list[ast.stmt] = []
    for statement in function.body:
        if _is_blank(statement):
            continue
        changed = transformer.visit(statement)
        if not _is_blank(changed):
            body.append(ast.fix_missing_locations(changed))
    lines = [line for statement in body for line in ast.unparse(statement).splitlines()]
    arguments = [repr(factory)]
    if check.variant == "indexed":
        arguments.append(f"index={dict(rule.index or {})!r}")
    if rule.ttl is not None:
        arguments.append(f"ttl={dict(rule.ttl)!r}")
    asynchronous = check.face == "async"
    head = [
        f"@reproduce({', '.join(arguments)})",
        f"{'async ' if asynchronous else ''}def example({', '.join(['store', *_tools(body)])}):",
    ]
    code = "\n".join([*head, *(f"    {line}" for line in lines)])
    return "\n".join([*imports(code), code])


def _tools(body: list[ast.stmt]) -> list[str]:
    """The arguments, beside the store, that `reproduce` gives to an example that asks for them."""
    used = {node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return [name for name in TOOLS if name in used]


def imports(code: str) -> list[str]:
    """The import lines that `code` needs, one for each module."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    used |= {"reproduce"} if "@reproduce" in code else set()
    plain = [name for name in MODULES if name in used]
    wanted: dict[str, list[str]] = {}
    for name in sorted(used - set(dir(builtins))):
        if name in IMPORTS:
            wanted.setdefault(IMPORTS[name], []).append(name)
    first = [f"import {', '.join(plain)}"] if plain else []
    return [*first, *(f"from {module} import {', '.join(names)}" for module, names in sorted(wanted.items()))]
