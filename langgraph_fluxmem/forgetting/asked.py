"""What somebody asks to be forgotten, and which nodes that means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from langgraph_fluxmem.errors import ConfigError, UnknownIdError
from langgraph_fluxmem.ledger.forgetting import Version, episodes_of, every_namespace, versions
from langgraph_fluxmem.ledger.sql import Session
from langgraph_fluxmem.namespaces import DEFAULT, check_namespace
from langgraph_fluxmem.schema import Namespace, NodeKind
from langgraph_fluxmem.storing.filters import Matcher, compiled

KINDS: tuple[str, ...] = get_args(NodeKind)
When = float | dt.datetime | dt.timedelta


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request. Everything given must hold of what is forgotten; with none but a namespace that is all it holds."""

    ids: tuple[str, ...] = ()
    namespace: Namespace = DEFAULT
    deep: bool = False
    user: str | None = None
    source: str | None = None
    matcher: Matcher | None = None
    before: float | None = None
    kinds: tuple[str, ...] | None = None

    @classmethod
    def of(  # noqa: PLR0917 - the arguments of `FluxMem.forget`, in its order
        cls,
        ids: str | Sequence[str] | None,
        namespace: Sequence[str] | None,
        deep: bool,
        user: str | None,
        source: str | None,
        filter: Mapping[str, Any] | None,
        before: When | None,
        kinds: Sequence[str] | None,
        now: Callable[[], float],
    ) -> Asked:
        """Check what was given.

        Raises:
            ConfigError: nothing was named, or arguments that conflict. InvalidNamespaceError.
        """
        if not any((ids, namespace, user, source, filter, before is not None, kinds)):
            raise ConfigError(
                "forget() was asked for nothing; name ids, a namespace, a user, a source, a filter, before= or kinds= (it cannot be undone)"
            )
        if ids and any((deep, user, source, filter, before is not None, kinds)):
            raise ConfigError("forget() got ids and other conditions; give ids with at most their namespace, or conditions without ids")
        if deep and not namespace:
            raise ConfigError("deep=True goes with a namespace: it takes the namespaces below that one along")
        if user is not None and (not isinstance(user, str) or not user):
            raise ConfigError(f"user is {user!r}; give the label that stands for the user in namespaces, as in ('acme', 'ada')")
        wrong = [kind for kind in kinds or () if kind not in KINDS]
        if wrong or isinstance(kinds, str):
            raise ConfigError(f"kinds is {kinds!r}; expected some of {', '.join(KINDS)}")
        where = DEFAULT if namespace is None else check_namespace(namespace)
        names = (ids,) if isinstance(ids, str) else tuple(ids or ())
        if any(not isinstance(name, str) for name in names):
            raise ConfigError("ids are texts: of facts, episodes, skills, commits or runs")
        below = deep or (user is not None and namespace is not None)
        return cls(
            names,
            where if namespace or not user else (),
            below or bool(user),
            user,
            source,
            compiled(filter),
            _moment(before, now),
            tuple(kinds) if kinds else None,
        )

    @property
    def whole(self) -> bool:
        """Whether all is asked for that the namespaces hold."""
        return not (self.ids or self.source or self.matcher or self.before is not None or self.kinds)

    def namespaces(self, session: Session) -> list[Namespace]:
        """The namespaces that are looked through."""
        if not self.deep:
            return [self.namespace]
        below = [found for found in every_namespace(session) if found[: len(self.namespace)] == self.namespace]
        return below if self.user is None else [found for found in below if self.user in found]

    def nodes(self, session: Session, namespace: Namespace) -> dict[str, Version]:
        """The nodes of a namespace that are asked for, each with its newest version.

        Raises:
            UnknownIdError: an id that the namespace does not hold.
        """
        if self.ids:
            return self._named(session, namespace)
        found: dict[str, Version] = {}
        fitting: set[str] = set()
        for version in versions(session, namespace, self.kinds):
            found[version.node] = version
            if self._fits(version):
                fitting.add(version.node)
        return {
            node: version
            for node, version in found.items()
            if (self.whole or node in fitting) and (self.before is None or version.at < self.before)
        }

    def _fits(self, version: Version) -> bool:
        if self.source is None and self.matcher is None:
            return version.kind != "mark"
        if self.source is not None and version.source != self.source:
            return False
        return self.matcher is None or self.matcher(labels_of(version))

    def _named(self, session: Session, namespace: Namespace) -> dict[str, Version]:
        wanted = {name: {name, *episodes_of(session, namespace, name)} for name in self.ids}
        every = set().union(*wanted.values())
        found: dict[str, Version] = {}
        seen: set[str] = set()
        for version in versions(session, namespace):
            hit = every & {version.id, version.node}
            if hit or version.node in found:
                found[version.node] = version
                seen |= hit
        missing = [name for name, names in wanted.items() if not names & seen]
        if missing:
            raise UnknownIdError(
                f"namespace {'.'.join(namespace)!r} holds nothing under {missing[0]!r}; give the id of a fact, an item, an episode, a skill, "
                "a commit or a run, with its namespace"
            )
        return found


def labels_of(version: Version) -> Mapping[str, Any]:
    """What a filter looks at: an item's value, the metadata of a fact or an episode."""
    found = version.body.get("value") if version.kind == "item" else version.body.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _moment(before: When | None, now: Callable[[], float]) -> float | None:
    if before is None:
        return None
    if isinstance(before, dt.timedelta):
        return now() - before.total_seconds()
    if isinstance(before, dt.datetime):
        if before.tzinfo is None:
            raise ConfigError(
                f"before is {before!r}, without a time zone; give one, for example datetime.now(UTC), or an age as a timedelta"
            )
        return before.timestamp()
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        raise ConfigError(f"before is {before!r}; give a datetime, a timedelta (an age), or seconds since the epoch")
    return float(before)
