"""Speed and size beside Chroma and LangGraph's stores.

    python -m tests.benchmarks.store [--sizes 1000,10000] [--namespaces 1,20,1000] [--systems a,b] [--json FILE]

Table 1, the memory's own way: facts by `remember`, found by `recall` (k=10, all default signals); "fluxmem-chroma" with the exact tier off;
Chroma and the stock stores their own way. Table 2, the store: put, get, search of ten items without a query, with a filter, with a query,
with both, and a query over all namespaces at once. Table 3, what 10,000 learned links from tasks to facts cost: two memories of the same facts
in one process, one with the links, asked the same queries in turn, because processes of the same case differ by as much; "near" are the
queries near a task that facts have served.
`search_after_add` is the first search of a namespace after a write to it; `open_ms` opens the memory again, to the first answer. Every case runs in a process of its own; embedding is excluded (vectors are looked
up); a search stays within one namespace unless the column says otherwise. For Chroma a namespace is a collection of its own up to 20
namespaces, and a metadata filter on one collection beyond. Milliseconds; `rss_mb` is what the process grew by, libraries included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .store_profile import profile
from .store_systems import BATCH, STORES, SYSTEMS, Case, Data, FluxMemSystem, LearnedSystem

KEYS = (
    "add_ms_p50",
    "bulk_add_per_s",
    "search_ms_p50",
    "search_ms_p95",
    "search_after_add_ms_p50",
    "open_ms",
    "memory_kb_per_fact",
    "disk_kb_per_fact",
)
ITEM_KEYS = (
    "put_ms_p50",
    "get_ms_p50",
    "search_ms_p50",
    "filter_ms_p50",
    "query_ms_p50",
    "query_filter_ms_p50",
    "prefix_query_ms_p50",
    "open_ms",
)
LINKS_KEYS = ("without_ms_p50", "with_ms_p50", "more_percent", "near_share", "near_more_percent")
LIMIT_S = 2.0
"""A measurement ends after this long, if it has at least `LEAST` samples."""
LEAST = 10
ITEMS = 500
"""How many calls of each kind table 2 makes, at most. Where calls are short a machine that is slow for a moment would otherwise be the result."""


def timed(calls: Iterable[Callable[[], Any]], *, skip: int = 0) -> list[float]:
    """Milliseconds of each call but the first `skip`."""
    out: list[float] = []
    started = time.perf_counter()
    for number, call in enumerate(calls):
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        if number >= skip:
            out.append(1e3 * (after - before))
        if after - started > LIMIT_S and len(out) >= LEAST:
            break
    return out


def resident_mb() -> float:
    """Resident memory of this process in megabytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * 4096 / 1e6


def disk_mb(place: Path) -> float:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6


def batches(data: Data) -> list[tuple[int, list[str]]]:
    """The facts by namespace, in batches."""
    out: list[tuple[int, list[str]]] = []
    for namespace in range(data.namespaces):
        texts = data.texts[namespace : data.facts : data.namespaces]
        out += [(namespace, texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    return out


def measure_facts(case: Case, place: Path) -> dict[str, Any]:
    """One row of table 1."""
    data = Data(case.facts, case.namespaces)
    before = resident_mb()
    system = SYSTEMS[case.system](data, place)
    started = time.perf_counter()
    for namespace, texts in batches(data):
        system.add(namespace, texts)
    bulk = case.facts / (time.perf_counter() - started)
    settle = getattr(system, "settle", None)
    if settle is not None:
        settle()
    for namespace in range(min(case.namespaces, 20)):
        system.search(namespace, data.queries[namespace])  # what is loaded by the first search of a namespace is not a search's cost
    asked = list(zip(data.query_namespaces, data.queries, strict=True))
    searches = timed([lambda n=n, q=q: system.search(n, q) for n, q in asked], skip=20)
    added = data.texts[case.facts :]
    adds = timed([lambda n=n, t=t: system.add(n % case.namespaces, [t]) for n, t in enumerate(added)], skip=5)
    changed: list[float] = []
    for number, (namespace, query) in enumerate(asked[:60]):  # what a write undoes of what searches had prepared
        system.add(namespace, [data.texts[case.facts + number] + f" again{number}"])
        changed += timed([lambda n=namespace, q=query: system.search(n, q)])
    row: dict[str, Any] = {
        "add_ms_p50": float(np.percentile(adds, 50)),
        "bulk_add_per_s": bulk,
        "search_ms_p50": float(np.percentile(searches, 50)),
        "search_ms_p95": float(np.percentile(searches, 95)),
        "search_after_add_ms_p50": float(np.percentile(changed, 50)),
        "rss_mb": resident_mb() - before,
        "open_ms": None,
    }
    system.close()
    row["disk_mb"] = disk_mb(place) if place.exists() else 0.0
    row["memory_kb_per_fact"], row["disk_kb_per_fact"] = 1e3 * row["rss_mb"] / case.facts, 1e3 * row["disk_mb"] / case.facts
    if isinstance(system, FluxMemSystem):
        started = time.perf_counter()
        system = SYSTEMS[case.system](data, place)
        system.search(0, data.queries[0])
        row["open_ms"] = 1e3 * (time.perf_counter() - started)
        system.close()
    return row


def measure_items(case: Case, place: Path) -> dict[str, Any]:
    """One row of table 2."""
    from langgraph.store.base import PutOp

    from langgraph_fluxmem import FluxMemStore

    data = Data(case.facts, case.namespaces)
    store, close = STORES[case.system](data, place)

    def value(fact: int) -> dict[str, Any]:
        return {
            "text": data.texts[fact],
            "kind": f"kind{fact // case.namespaces % 20}",
            "n": fact,
            "tags": ["a", "b"],
            "meta": {"lang": "en"},
        }

    def name(fact: int) -> tuple[str, str]:
        return ("tenant", f"n{data.namespace(fact)}")

    for start in range(0, case.facts, BATCH):
        store.batch([PutOp(name(fact), str(fact), value(fact)) for fact in range(start, min(start + BATCH, case.facts))])
    if isinstance(store, FluxMemStore):
        store.mem.flush(600)  # Chroma has followed: what goes on beside a search is not a search's cost
    for namespace in range(min(case.namespaces, 20)):  # nor is what the first search of a namespace loads
        store.search(("tenant", f"n{namespace}"))
        store.search(("tenant", f"n{namespace}"), query=data.queries[namespace])
    rng = np.random.default_rng(3)
    some = rng.integers(0, case.facts, ITEMS).tolist()
    asked = list(zip(some, data.query_namespaces[:ITEMS], data.queries[:ITEMS], strict=True))

    def p50(call: Callable[[int, int, str], Any]) -> float:
        return float(np.percentile(timed([lambda a=a: call(*a) for a in asked], skip=5), 50))

    def named(namespace: int) -> tuple[str, str]:
        return ("tenant", f"n{namespace}")

    row: dict[str, Any] = {
        "get_ms_p50": p50(lambda fact, n, q: store.get(name(fact), str(fact))),
        "search_ms_p50": p50(lambda fact, n, q: store.search(named(n))),
        "filter_ms_p50": p50(lambda fact, n, q: store.search(named(n), filter={"kind": "kind7", "n": {"$gte": 10}})),
        "query_ms_p50": p50(lambda fact, n, q: store.search(named(n), query=q)),
        "query_filter_ms_p50": p50(lambda fact, n, q: store.search(named(n), query=q, filter={"kind": "kind7"})),
        "prefix_query_ms_p50": p50(lambda fact, n, q: store.search(("tenant",), query=q)),
    }
    more = range(case.facts, len(data.texts) - 0)
    row["put_ms_p50"] = float(np.percentile(timed([lambda f=f: store.put(name(f), str(f), value(f)) for f in more], skip=5), 50))
    close()
    row["open_ms"] = None
    if case.system != "langgraph-inmemory":
        place_again = place if case.system == "fluxmem-store" else None
        if place_again is not None:
            started = time.perf_counter()
            store, close = STORES[case.system](data, place_again)
            store.search(named(0), query=data.queries[0])
            row["open_ms"] = 1e3 * (time.perf_counter() - started)
            close()
    return row


def measure_links(case: Case, place: Path) -> dict[str, Any]:
    """One row of table 3."""
    data = Data(case.facts, case.namespaces)
    plain, linked = (
        FluxMemSystem(data, place.with_name("plain"), chroma="off"),
        LearnedSystem(data, place.with_name("linked"), chroma="off"),
    )
    for system in (plain, linked):
        for namespace, texts in batches(data):
            system.add(namespace, texts)
        system.settle()
    asked = list(zip(data.query_namespaces, data.queries, strict=True))
    for namespace, query in asked[:20]:
        for system in (plain, linked):
            system.search(namespace, query)
    taken = np.zeros((len(asked) - 20, 2))
    for number, (namespace, query) in enumerate(asked[20:]):
        for turn in (number % 2, 1 - number % 2):
            system = (plain, linked)[turn]
            before = time.perf_counter()
            system.search(namespace, query)
            taken[number, turn] = 1e3 * (time.perf_counter() - before)
    near = np.array([linked.served(namespace, query) for namespace, query in asked[20:]])  # after, so that neither is warmer than the other
    plain.close()
    linked.close()

    def more(of: Any) -> float | None:
        return float(100 * (np.median(taken[of, 1]) / np.median(taken[of, 0]) - 1)) if of.any() else None

    return {
        "without_ms_p50": float(np.median(taken[:, 0])),
        "with_ms_p50": float(np.median(taken[:, 1])),
        "more_percent": more(near | ~near),
        "near_share": float(near.mean()),
        "near_more_percent": more(near),
    }


def ratios(rows: list[dict[str, Any]]) -> None:
    """Print how many times as fast as Chroma alone the memory adds and searches."""
    held = {(row["facts"], row["namespaces"], row["system"]): row for row in rows if "error" not in row}
    for facts, namespaces, system in held:
        own, chroma = held[facts, namespaces, system], held.get((facts, namespaces, "chroma"))
        if system == "fluxmem" and chroma is not None:
            add, search = (chroma[key] / own[key] for key in ("add_ms_p50", "search_ms_p50"))
            print(
                f"{facts:,} facts in {namespaces:,} namespaces: chroma's add takes {add:.1f} times as long, its search {search:.1f} times"
            )


def run_case(case: Case) -> dict[str, Any]:
    """Measure in a process of its own; a system that cannot run says why under ``error``."""
    with tempfile.TemporaryDirectory(prefix="fluxmem-store-") as folder:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.store",
            "--case",
            json.dumps(asdict(case)),
            "--place",
            str(Path(folder) / "place"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def table(cases: list[Case], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Measure the cases, printing each as it is done."""
    print(f"{'system':20}{'facts':>9}{'namespaces':>12}", *(f"{key:>{max(20, len(key) + 2)}}" for key in keys))
    rows: list[dict[str, Any]] = []
    for case in cases:
        measured = run_case(case)
        rows.append({"system": case.system, "facts": case.facts, "namespaces": case.namespaces, **measured})
        said = measured.get("error")
        print(
            f"{case.system:20}{case.facts:9,}{case.namespaces:12,}",
            said or " ".join(f"{shown(measured[key]):>{max(20, len(key) + 2)}}" for key in keys),
            flush=True,
        )
    return rows


def profiles(grid: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """The share of each part in one recall, printed for each size."""
    out: list[dict[str, Any]] = []
    for facts, namespaces in grid:
        with tempfile.TemporaryDirectory(prefix="fluxmem-store-") as folder:
            rows = profile(facts, namespaces, Path(folder) / "place")
        print(f"{facts:,} facts in {namespaces:,} namespaces")
        for row in rows:
            print(f"  {row['part']:32}{row['us']:10.1f} us{100 * row['share']:7.1f} %")
        out += [{"facts": facts, "namespaces": namespaces, **row} for row in rows]
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.store", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000", help="facts, separated by commas")
    parser.add_argument("--namespaces", default="1,20,1000")
    parser.add_argument("--systems", default="", help="only these, of any table")
    parser.add_argument("--tables", default="facts,items,links")
    parser.add_argument("--profile", action="store_true", help="instead: the share of each part in one recall")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        case = Case(**json.loads(options.case))
        measure = {"facts": measure_facts, "items": measure_items, "links": measure_links}[case.table]
        print(json.dumps(measure(case, options.place)))
        return
    wanted = [name for name in options.systems.split(",") if name]
    grid = [
        (int(size), int(count)) for size in options.sizes.split(",") for count in options.namespaces.split(",") if int(count) <= int(size)
    ]
    made: dict[str, Any] = {}
    if options.profile:
        made["rows"] = profiles(grid)
    for kind, systems, keys in (("facts", SYSTEMS, KEYS), ("items", STORES, ITEM_KEYS), ("links", ("fluxmem-links",), LINKS_KEYS)):
        if kind in options.tables.split(",") and not options.profile:
            cases = [Case(kind, system, *at) for at in grid for system in systems if not wanted or system in wanted]
            made["rows" if kind == "facts" else kind] = table(cases, keys)
            ratios(made["rows"] if kind == "facts" else [])
            print()
    if options.json:
        options.json.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
