"""Namespaces: validation, prefixes by segment, and templates that are filled in at run time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from langgraph_fluxmem.errors import InvalidNamespaceError, UnresolvedNamespaceError
from langgraph_fluxmem.schema import Namespace

DEFAULT: Namespace = ("memories",)
_FIELD = re.compile(r"\{([^{}]*)\}")


def check_namespace(namespace: object, *, reserved: bool = True, filled: bool = False) -> Namespace:
    """Validate a namespace: a non-empty tuple of non-empty strings without ``.`` and NUL (LangGraph's rule for stores).

    A list of strings is taken as a tuple. With `reserved` the root ``"langgraph"`` is refused, as LangGraph's own stores do on put; with
    `filled` a label such as ``"{user_id}"``, which nothing would fill in: all users would share it.

    Raises:
        InvalidNamespaceError: anything else; the message shows what was found and what would be right.
    """
    mend = "use a tuple of strings such as ('acme', 'ada')"
    if isinstance(namespace, str):
        raise InvalidNamespaceError(f"namespace is the string {namespace!r}; {mend}, here ({namespace!r},)")
    if not isinstance(namespace, (tuple, list)):
        raise InvalidNamespaceError(f"namespace is a {type(namespace).__name__}; {mend}")
    if not namespace:
        raise InvalidNamespaceError(f"namespace is empty; {mend}")
    for label in namespace:
        if not isinstance(label, str):
            raise InvalidNamespaceError(f"namespace {namespace!r} holds {label!r}, a {type(label).__name__}; {mend}")
        if not label:
            raise InvalidNamespaceError(f"namespace {namespace!r} holds an empty label; {mend}")
        if "." in label or "\x00" in label:
            raise InvalidNamespaceError(
                f"namespace label {label!r} holds {'a dot' if '.' in label else 'NUL'}; make it two labels, or replace it"
            )
        if any("\ud800" <= char <= "\udfff" for char in label):
            raise InvalidNamespaceError(f"namespace label {label!r} holds a lone surrogate, which no database stores; replace it")
        if filled and "{" in label and _FIELD.search(label):
            raise InvalidNamespaceError(
                f"namespace {namespace!r} holds the template {label!r}, and no run fills it in here; give the value itself. Templates are for "
                "nodes, middleware, tools and retrievers"
            )
    if reserved and namespace[0] == "langgraph":
        raise InvalidNamespaceError("the root label 'langgraph' is reserved for LangGraph itself; choose another first label")
    return tuple(namespace)


class NamespaceTemplate:
    """A namespace with ``{fields}`` such as ``("{user_id}", "memories")``.

    Fields are looked up in `runtime.context`, then in the config's `configurable`, then in the server's user (``{user_id}`` and
    ``{langgraph_auth_user_id}`` mean its identity). Nothing falls back to a shared namespace: a missing value raises.
    """

    def __init__(self, namespace: Iterable[str]) -> None:
        parts = check_namespace(tuple(namespace) if not isinstance(namespace, str) else namespace)
        self.parts = parts
        self.fields = tuple(dict.fromkeys(name for part in parts for name in _FIELD.findall(part)))
        if "" in self.fields:
            raise InvalidNamespaceError(f"namespace template {parts!r} holds '{{}}'; name the field, as in '{{user_id}}'")

    def resolve(self, context: object = None, configurable: Mapping[str, Any] | None = None, user: object = None) -> Namespace:
        """The namespace with every field filled in.

        Raises:
            UnresolvedNamespaceError: a field has no value, or its value is not a string or number.
            InvalidNamespaceError: a value makes an invalid label (empty, dotted).
        """
        values: dict[str, str] = {}
        for name in self.fields:
            value = _value(name, context, configurable or {}, user)
            if value is None:
                raise UnresolvedNamespaceError(
                    f"namespace {self.parts!r} needs {name!r}, and neither the runtime context, the configuration nor the server's user has it; "
                    f'pass it as `config={{"configurable": {{"{name}": ...}}}}` or in `context=`'
                )
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise UnresolvedNamespaceError(f"namespace {self.parts!r}: {name!r} is {value!r}; give a string or a whole number")
            values[name] = str(value)
        return check_namespace(tuple(_FIELD.sub(lambda match: values[match[1]], part) for part in self.parts))


def _value(name: str, context: object, configurable: Mapping[str, Any], user: object) -> Any:
    found = context.get(name) if isinstance(context, Mapping) else getattr(context, name, None)
    if found is None:
        found = configurable.get(name)
    if found is None and name in ("user_id", "langgraph_auth_user_id") and user is not None:
        found = getattr(user, "identity", None)
    return found
