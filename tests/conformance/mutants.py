"""The mutation table: stores with one seeded bug each, and the rule that must notice it.

`python -m tests.conformance.mutants docs/conformance/mutations.md` runs every rule on every one of them and writes the table.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from langgraph.store.base import GetOp, PutOp, SearchOp, validate_op_namespace

from langgraph_fluxmem.testing.conformance import Conformance, ReferenceStore, plan

from .stores import FileStore, decode, encode

TABLE = {}


@dataclass(frozen=True)
class Mutant:
    bug: str
    store: type
    rules: tuple[str, ...]
    """The rules that are about this bug: each must fail. Others may fail, too."""


def mutant(bug, *rules):
    def add(store):
        TABLE[store.__name__] = Mutant(bug, store, rules)
        return store

    return add


# --- items and timestamps ------------------------------------------------------------------------------------------------------------


@mutant("updated_at is lost on overwrite", "crud.overwrite-moves-updated-at")
class LostUpdatedAt(ReferenceStore):
    def write(self, entries, op, vectors):
        old = entries.get((op.namespace, op.key))
        super().write(entries, op, vectors)
        if old and op.value is not None:
            entries[op.namespace, op.key] = replace(entries[op.namespace, op.key], updated_at=old.updated_at)


@mutant("created_at is reset on overwrite", "crud.overwrite-keeps-created-at")
class ResetCreatedAt(ReferenceStore):
    def write(self, entries, op, vectors):
        entries.pop((op.namespace, op.key), None)
        super().write(entries, op, vectors)


@mutant("an overwrite is merged into the old value", "crud.overwrite-replaces")
class MergedOverwrite(ReferenceStore):
    def write(self, entries, op, vectors):
        old = entries.get((op.namespace, op.key))
        if old and op.value is not None:
            op = op._replace(value={**json.loads(old.value), **op.value})
        super().write(entries, op, vectors)


@mutant("timestamps have no time zone", "crud.timestamps-know-their-zone")
class NaiveTimestamps(ReferenceStore):
    def now(self):
        return super().now().replace(tzinfo=None)


# --- batches -------------------------------------------------------------------------------------------------------------------------


@mutant("writes come before reads", "batch.reads-come-before-writes", "batch.listing-comes-before-writes")
class WritesFirst(ReferenceStore):
    def apply(self, ops, vectors, asked):
        order = sorted(range(len(ops)), key=lambda n: not isinstance(ops[n], PutOp))
        for n in order:
            if isinstance(ops[n], PutOp):
                super().apply([ops[n]], vectors, asked)
        reads = super().apply([op for op in ops if not isinstance(op, PutOp)], vectors, asked)
        return [None if isinstance(op, PutOp) else reads.pop(0) for op in ops]


@mutant("the first put of a key in a batch wins", "batch.last-put-wins", "batch.last-delete-wins")
class FirstPutWins(ReferenceStore):
    def apply(self, ops, vectors, asked):
        seen = set()
        kept = []
        for op in ops:
            again = isinstance(op, PutOp) and (op.namespace, op.key) in seen
            kept.append(GetOp(op.namespace, op.key) if again else op)
            if isinstance(op, PutOp):
                seen.add((op.namespace, op.key))
        return [None if isinstance(op, PutOp) else result for op, result in zip(ops, super().apply(kept, vectors, asked), strict=True)]


@mutant(
    "half a batch is committed when an operation is refused",
    "batch.nothing-stays-when-a-value-is-refused",
    "batch.nothing-stays-when-a-read-is-refused",
)
class HalfABatch(ReferenceStore):
    def batch(self, ops):
        return [super(HalfABatch, self).batch([op])[0] for op in ops]

    async def abatch(self, ops):
        return [(await super(HalfABatch, self).abatch([op]))[0] for op in ops]


@mutant("a failing embedding is swallowed, and the rest stored", "batch.nothing-stays-when-embedding-fails")
class SwallowedEmbeddingFailure(ReferenceStore):
    def batch(self, ops):
        ops = list(ops)
        try:
            return super().batch(ops)
        except RuntimeError:
            return super().batch([op._replace(index=False) if isinstance(op, PutOp) else op for op in ops])

    async def abatch(self, ops):
        return self.batch(ops)


# --- values --------------------------------------------------------------------------------------------------------------------------


class _Shared(ReferenceStore):
    """Keeps the values themselves beside their JSON."""

    def __init__(self, *, index=None, ttl=None):
        super().__init__(index=index, ttl=ttl)
        self.shared = {}


@mutant("stored values are the caller's objects", "values.changing-what-was-put")
class SharedOnPut(_Shared):
    def write(self, entries, op, vectors):
        super().write(entries, op, vectors)
        if op.value is not None:
            self.shared[entries[op.namespace, op.key].updated_at, op.key] = op.value

    def decode(self, entry):
        key = next((k for k in self.shared if k[0] == entry.updated_at), None)
        return super().decode(entry) if key is None else json.loads(json.dumps(dict(self.shared[key])))


@mutant("callers get the stored objects", "values.changing-what-was-got", "values.changing-what-was-found")
class SharedOnGet(_Shared):
    def decode(self, entry):
        return self.shared.setdefault((entry.value, entry.updated_at), super().decode(entry))


@mutant("values that JSON cannot carry are turned into text", "values.what-json-cannot-carry-is-refused")
class AnythingAsText(ReferenceStore):
    def encode(self, value):
        return json.dumps(dict(value), default=str)


# --- namespaces ----------------------------------------------------------------------------------------------------------------------


@mutant("prefixes match as text, not by label", "namespaces.prefix-is-by-label", "tenants.search-stays-within", "stateful.tenants")
class TextPrefix(ReferenceStore):
    def under(self, namespace, prefix):
        return ".".join(namespace).startswith(".".join(prefix))


@mutant("prefixes ignore case", "namespaces.prefix-is-case-sensitive", "tenants.search-stays-within")
class CaselessPrefix(ReferenceStore):
    def under(self, namespace, prefix):
        return [label.lower() for label in namespace[: len(prefix)]] == [label.lower() for label in prefix]


@mutant("search takes '*' for a wildcard", "namespaces.search-has-no-wildcards", "tenants.search-stays-within")
class WildcardSearch(ReferenceStore):
    def under(self, namespace, prefix):
        return len(namespace) >= len(prefix) and all(p in ("*", n) for n, p in zip(namespace, prefix, strict=False))


@mutant("namespaces are joined with a slash", "namespaces.no-separator-is-special")
class SlashJoined(ReferenceStore):
    def apply(self, ops, vectors, asked):
        def flat(op):
            return op._replace(namespace=tuple("/".join(op.namespace).split("/"))) if isinstance(op, PutOp | GetOp) else op

        return super().apply([flat(op) for op in ops], vectors, asked)


@mutant("operations in a direct batch are not checked", "namespaces.checked-in-a-batch")
class UncheckedBatch(ReferenceStore):
    def checked(self, ops):
        for op in ops:
            if isinstance(op, PutOp) and op.value is not None:
                self.encode(op.value)
            if isinstance(op, SearchOp):
                super().checked([op._replace(namespace_prefix=())])
        return ops


@mutant("a namespace stays listed after its last item", "listing.deleting-the-last-item", "stateful.namespaces")
class GhostNamespaces(ReferenceStore):
    def __init__(self, *, index=None, ttl=None):
        super().__init__(index=index, ttl=ttl)
        self.ghosts = set()

    def write(self, entries, op, vectors):
        super().write(entries, op, vectors)
        self.ghosts.add(op.namespace)

    def list_all(self, entries, op):
        some = next(iter(entries.values()), None)
        if some is None:
            return super().list_all(entries, op) if not self.ghosts else sorted(self.ghosts)
        return super().list_all({**dict.fromkeys(((name, "") for name in self.ghosts), some), **entries}, op)


@mutant("cut namespaces are listed as often as they were cut", "listing.depth", "listing.pages-of-cut-namespaces")
class RepeatedCuts(ReferenceStore):
    def cut(self, names, depth):
        return [name[:depth] for name in names]


@mutant("the wildcard stands for any number of labels", "listing.conditions")
class GreedyWildcard(ReferenceStore):
    def meets(self, name, condition):
        if "*" in condition.path and condition.match_type == "prefix":
            return name[: condition.path.index("*")] == tuple(condition.path[: condition.path.index("*")])
        return super().meets(name, condition)


# --- search and filters --------------------------------------------------------------------------------------------------------------


@mutant("offset is off by one", "search.pages", "listing.pages", "stateful.searches")
class OffsetOffByOne(ReferenceStore):
    def page(self, found, op):
        start = op.offset + 1 if op.offset else 0
        return found[start : start + op.limit]


@mutant("the filter is applied after limit", "filters.come-before-limit", "stateful.searches")
class LimitBeforeFilter(ReferenceStore):
    def candidates(self, entries, op):
        everything = super().candidates(entries, op._replace(filter=None))[: op.offset + op.limit]
        return [address for address in everything if self.matches(entries[address], op)]


@mutant("an unknown operator is ignored", "filters.unknown-operators-are-refused", "filters.unknown-operators-are-refused-always")
class IgnoredOperators(ReferenceStore):
    def check_operators(self, condition):
        return None

    def compare(self, value, operator, other):
        return operator not in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte") or super().compare(value, operator, other)


@mutant("filter keys are not checked", "filters.invalid-keys-are-refused")
class UncheckedFilterKeys(ReferenceStore):
    def check_filter(self, key, condition):
        self.check_operators(condition)


@mutant("$gt is $gte", "filters.operators", "stateful.searches")
class WrongOperator(ReferenceStore):
    def compare(self, value, operator, other):
        return super().compare(value, "$gte" if operator == "$gt" else operator, other)


@mutant("comparing with an absent key raises", "filters.items-without-the-key")
class RaisingComparison(ReferenceStore):
    def compare(self, value, operator, other):
        return value > other if operator == "$gt" else super().compare(value, operator, other)


@mutant("a query without an index filters by text", "search.a-query-without-an-index-is-ignored")
class TextQuery(ReferenceStore):
    def matches(self, entry, op):
        return super().matches(entry, op) and (self.embeddings is not None or not op.query or op.query in entry.value)


# --- index ---------------------------------------------------------------------------------------------------------------------------


@mutant("`fields` is ignored", "index.configured-fields-count", "index.configured-paths")
class IgnoredFields(ReferenceStore):
    def fields(self):
        return ["$"]


@mutant("paths given to put are ignored", "index.paths-of-a-put-replace-the-configured", "index.paths")
class IgnoredPutPaths(ReferenceStore):
    def paths(self, op):
        return [] if op.index is False else self.fields()


@mutant("`index=False` is ignored", "index.false-means-no-vector")
class IgnoredIndexFalse(ReferenceStore):
    def paths(self, op):
        return self.fields() if op.index is False else super().paths(op)


@mutant(
    "a vector stays after its field disappears",
    "index.no-vector-after-the-field-is-gone",
    "index.no-vector-after-index-false",
    "stateful.queries",
)
class StaleVector(ReferenceStore):
    def vectors_of(self, op, vectors, old):
        return super().vectors_of(op, vectors, old) or (old.vectors if old else ())


@mutant("vectors of a list that shrank stay", "index.no-vector-after-the-list-shrank")
class StaleElements(ReferenceStore):
    def vectors_of(self, op, vectors, old):
        new = super().vectors_of(op, vectors, old)
        return new + (old.vectors[len(new) :] if old and new else ())


@mutant("items without a vector are left out", "index.items-without-a-vector-come-last", "index.pages")
class OnlyScored(ReferenceStore):
    def ranked(self, found):
        return [pair for pair in super().ranked(found) if pair[1] is not None]


@mutant("the score is scaled to [0, 1]", "index.score-is-the-cosine")
class ScaledScore(ReferenceStore):
    def similarity(self, a, b):
        return (1 + super().similarity(a, b)) / 2


@mutant("the score is that of the first path, not the best", "index.paths")
class FirstPathScore(ReferenceStore):
    def score(self, entry, query):
        return self.similarity(entry.vectors[0], query) if entry.vectors else None


@mutant("queries below zero are cut off", "index.far-items-are-found")
class CutOff(ReferenceStore):
    def ranked(self, found):
        return [pair for pair in super().ranked(found) if pair[1] is None or pair[1] > 0]


@mutant("the nearest are taken before the filter is applied", "index.filter-comes-before-limit")
class NearestBeforeFilter(ReferenceStore):
    def candidates(self, entries, op):
        found = super().candidates(entries, op._replace(filter=None))
        if op.query and self.embeddings and op.filter:
            query = self.embeddings.embed_query(op.query)
            found = [address for address, _ in self.ranked([(a, self.score(entries[a], query)) for a in found])][: op.limit]
        return [address for address in found if self.matches(entries[address], op)]


@mutant("queries are embedded as documents", "index.queries-are-embedded-as-queries")
class QueryAsDocument(ReferenceStore):
    def apply(self, ops, vectors, asked):
        return super().apply(ops, vectors, {query: self.embeddings.embed_documents([query])[0] for query in asked})


# --- expiry --------------------------------------------------------------------------------------------------------------------------


@mutant("`omit_expired` is ignored", "ttl.omitted-by-get", "ttl.omitted-by-search", "ttl.omitted-by-listing", "ttl.omitted-by-query")
class IgnoredOmitExpired(ReferenceStore):
    def hidden(self, entry):
        return False


@mutant("`default_ttl` is ignored", "ttl.default-counts")
class IgnoredDefaultTtl(ReferenceStore):
    def __init__(self, *, index=None, ttl=None):
        super().__init__(index=index, ttl=ttl)
        if self.ttl_config:
            self.ttl_config = {k: v for k, v in self.ttl_config.items() if k != "default_ttl"}


@mutant("a ttl counts in seconds", "ttl.counts-in-minutes")
class Seconds(ReferenceStore):
    def expiry(self, now, ttl):
        return super().expiry(now, ttl and ttl / 60)


@mutant("reading never refreshes", "ttl.get-refreshes", "ttl.search-refreshes", "ttl.refreshing-can-be-asked-for")
class NeverRefreshed(ReferenceStore):
    def refresh(self, entries, address, *, wanted):
        return None


@mutant("reading always refreshes", "ttl.refreshing-can-be-declined", "ttl.refreshing-can-be-off", "ttl.each-get-of-a-batch-decides")
class AlwaysRefreshed(ReferenceStore):
    def refresh(self, entries, address, *, wanted):
        super().refresh(entries, address, wanted=True)


# --- callers at once -----------------------------------------------------------------------------------------------------------------


@mutant("a cancelled batch leaves a lock held", "concurrency.a-cancelled-batch")
class HeldLock(ReferenceStore):
    held = False

    async def abatch(self, ops):
        import asyncio

        while self.held:
            await asyncio.sleep(0.001)
        self.held = True
        await asyncio.sleep(0.001)
        result = await super().abatch(ops)
        self.held = False
        return result


@mutant(
    "puts of a batch are applied one by one without a lock", "concurrency.threads-see-whole-batches", "concurrency.tasks-see-whole-batches"
)
class TornBatch(ReferenceStore):
    def apply(self, ops, vectors, asked):
        results = []
        for op in ops:
            results += super().apply([op], vectors, asked)
            time.sleep(0)
        return results

    async def abatch(self, ops):
        import asyncio

        results = []
        for op in self.checked(list(ops)):
            results += await super().abatch([op])
            await asyncio.sleep(0)
        return results


@mutant("synchronous methods need another thread than the loop's", "faces.sync-calls-in-a-running-loop")
class NotInTheLoop(ReferenceStore):
    def batch(self, ops):
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return super().batch(ops)
        raise RuntimeError("use the asynchronous methods")


# --- stores that persist -------------------------------------------------------------------------------------------------------------


@mutant("the file is written put by put", "persistence.a-crash-in-a-batch")
class WrittenPutByPut(FileStore):
    def batch(self, ops):
        return [super(WrittenPutByPut, self).batch([op])[0] for op in ops]

    async def abatch(self, ops):
        return [(await super(WrittenPutByPut, self).abatch([op]))[0] for op in ops]


@mutant("the file is read once", "persistence.another-process-is-seen", "persistence.two-processes-write")
class ReadOnce(FileStore):
    cache = None

    def load(self):
        if self.cache is None:
            self.cache = super().load()
        return self.cache

    def save(self, entries):
        self.cache = entries
        super().save(entries)


@mutant("vectors are not written", "persistence.vectors-are-kept")
class VectorsForgotten(FileStore):
    cache = None

    def load(self):
        kept = self.cache or {}
        return {address: kept.get(address) or replace(entry, vectors=()) for address, entry in super().load().items()}

    def save(self, entries):
        self.cache = entries
        super().save(entries)


@mutant("expiry is not written", "persistence.expiry-is-kept")
class ExpiryForgotten(FileStore):
    cache = None

    def load(self):
        kept = self.cache or {}
        return {address: kept.get(address) or replace(entry, expires_at=None) for address, entry in super().load().items()}

    def save(self, entries):
        self.cache = entries
        super().save(entries)


def once(check) -> bool:
    """Each rule on one face, and with an index only if it is about one."""
    return check.face == ("async" if check.rule.shape == "async" else "sync") and check.variant == check.rule.variants[0]


def table(target: Path) -> None:
    """Run every rule on every mutant and write which noticed."""
    lines = ["# Seeded bugs, and the rules that notice them", ""]
    lines += [
        "Each row is the kit's reference store with one bug, put there on purpose (`tests/conformance/mutants.py`). The rules in bold are"
    ]
    lines += [
        "about that bug, and a test holds them to failing on it; the others noticed it, too (of rules that wait for time to pass, only the"
    ]
    lines += [
        "bold ones were run, and of each rule one face; on bugs of stores that persist, only the rules about persistence). Without a bug, every rule passes.",
        "",
    ]
    lines += ["| bug | noticed by |", "|---|---|"]
    for name, made in TABLE.items():
        groups = ["persistence"] if issubclass(made.store, FileStore) else []
        checks = [check for check in plan(only=groups) if once(check) and (not check.rule.waits or check.rule.id in made.rules)]
        results = Conformance(f"tests.conformance.mutants:{name}").run_all(checks)
        failed = dict.fromkeys(result.check.rule.id for result in results if result.outcome == "fail")
        missed = [rule for rule in made.rules if rule not in failed]
        assert not missed, f"{name} was not noticed by {missed}"
        others = sorted(rule for rule in failed if rule not in made.rules)
        lines.append(f"| {made.bug} (`{name}`) | {', '.join([f'**{rule}**' for rule in made.rules] + others)} |")
        print(lines[-1], flush=True)
    lines += ["", f"{len(TABLE)} bugs, {len(TABLE)} noticed."]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    table(Path(sys.argv[1]))
