"""Random programs (hypothesis), run on the store and on `ReferenceStore` side by side: after every step both must answer alike.

A program that tells them apart is cut down to what it needs, and that is the reproduction. Programs are the same in every run. Only what the other rules call contract is compared: not the order of items, nor timestamps.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langgraph.store.base import GetOp, ListNamespacesOp, Op, PutOp, SearchOp

from langgraph_fluxmem.testing.conformance.embedding import DIMS, embed
from langgraph_fluxmem.testing.conformance.faces import Face, Worker
from langgraph_fluxmem.testing.conformance.lab import Lab
from langgraph_fluxmem.testing.conformance.model import NotOffered, RuleBroken
from langgraph_fluxmem.testing.conformance.reference import ReferenceStore
from langgraph_fluxmem.testing.conformance.registry import Group
from langgraph_fluxmem.testing.conformance.rendering import imports

rules = Group("stateful")
EVERYTHING = 1000
"""A limit that no program reaches: such searches and listings are compared whole."""
EXAMPLES = 100
STEPS = 12

Step = list[Op]


@rules.scenario
async def items(lab: Lab) -> None:
    """Any sequence of puts, deletes, gets and batches answers as the model does."""
    await _compare(lab, lambda st, ops: st.lists(st.one_of(ops.put, ops.delete, ops.get), min_size=1, max_size=4))


@rules.scenario(needs=("filters",), variants=("plain",))
async def searches(lab: Lab) -> None:
    """Any sequence of puts and deletes leaves a store that searches, filters and pages as the model does."""
    await _compare(lab, lambda st, ops: st.lists(st.one_of(ops.put, ops.put, ops.delete, ops.search, ops.search), min_size=1, max_size=3))


@rules.scenario(variants=("plain",))
async def namespaces(lab: Lab) -> None:
    """Any sequence of puts and deletes leaves a store that lists namespaces as the model does."""
    await _compare(lab, lambda st, ops: st.lists(st.one_of(ops.put, ops.delete, ops.listing), min_size=1, max_size=3))


@rules.scenario(variants=("indexed",), index={"fields": ["t", "m.t"]})
async def queries(lab: Lab) -> None:
    """Any sequence of puts, overwrites and deletes leaves a store whose queries score as the model's do."""
    await _compare(lab, lambda st, ops: st.lists(st.one_of(ops.put_text, ops.put_text, ops.delete, ops.query), min_size=1, max_size=3))


@rules.scenario(needs=("filters",), variants=("plain",))
async def tenants(lab: Lab) -> None:
    """Whatever tenants are called, a program that mixes them answers as the model does."""
    await _compare(lab, lambda st, ops: st.lists(st.one_of(ops.tenant_put, ops.tenant_search, ops.tenant_listing), min_size=1, max_size=3))


class _Differs(RuleBroken):
    """The store and the model differ on `program`."""

    def __init__(self, message: str, reproduction: str, program: list[Step]) -> None:
        super().__init__(message, reproduction)
        self.program = program


async def _compare(lab: Lab, step: Callable[[Any, Any], Any]) -> None:
    """Raises RuleBroken with a program on which the store and the model differ, from which nothing can be left out."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 - only these rules need it
        from hypothesis import strategies as st  # noqa: PLC0415

        from langgraph_fluxmem.testing.conformance.operations import Operations  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NotOffered(f"{error}; the stateful rules need it: pip install hypothesis") from error
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    )
    @given(st.lists(step(st, Operations()), min_size=5, max_size=STEPS))
    def example(program: list[Step]) -> None:
        asyncio.run_coroutine_threadsafe(_run(lab, program), loop).result()

    worker = Worker()
    try:
        await worker.run(example)
    except _Differs as found:
        raise await _smallest(lab, found) from None
    finally:
        worker.stop()


async def _smallest(lab: Lab, found: _Differs) -> _Differs:
    """The same finding on a program without any part that it does not need."""
    smaller = True
    while smaller:
        smaller = False
        for program in _simpler(found.program):
            try:
                await _run(lab, program)
            except _Differs as again:
                found, smaller = again, True
                break
    return found


def _simpler(program: list[Step]) -> Iterator[list[Step]]:
    """The programs that are one step, one operation, or one part of an operation shorter."""
    for at in range(len(program)):
        yield program[:at] + program[at + 1 :]
    for at, ops in enumerate(program):
        for n in range(len(ops)):
            if len(ops) > 1:
                yield [*program[:at], ops[:n] + ops[n + 1 :], *program[at + 1 :]]
            for op in _simpler_op(ops[n]):
                yield [*program[:at], [*ops[:n], op, *ops[n + 1 :]], *program[at + 1 :]]


def _simpler_op(op: Op) -> Iterator[Op]:
    if isinstance(op, PutOp) and op.value:
        for key in op.value:
            yield op._replace(value={k: v for k, v in op.value.items() if k != key})
    if isinstance(op, SearchOp) and op.filter:
        for key in op.filter:
            yield op._replace(filter={k: v for k, v in op.filter.items() if k != key})
    if isinstance(op, ListNamespacesOp):
        for n in range(len(op.match_conditions or ())):
            kept = (op.match_conditions or ())[:n] + (op.match_conditions or ())[n + 1 :]
            yield op._replace(match_conditions=kept or None)
        if op.max_depth is not None:
            yield op._replace(max_depth=None)
    if isinstance(op, SearchOp | ListNamespacesOp):
        if op.limit != EVERYTHING:
            yield op._replace(limit=EVERYTHING)
        if op.offset:
            yield op._replace(offset=0)


async def _run(lab: Lab, program: list[Step]) -> None:
    index: Any = None if lab.index is None else {"dims": DIMS, "embed": embed, **lab.index}
    model = ReferenceStore(index=index)
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as path:
        async with lab.open_face(path=Path(path)) as face:
            for done, ops in enumerate(program, 1):
                so_far = program[:done]
                expected = model.batch(ops)
                try:
                    given = await _answers(face, ops)
                except Exception as error:  # noqa: BLE001 - whatever the store raises is the finding
                    said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                    raise _Differs(f"the model answers, the store raises {said}", _code(lab, so_far), so_far) from None
                for at, op in enumerate(ops):
                    got, wanted = _normal(op, given[at]), _normal(op, expected[at])
                    if got != wanted:
                        message = f"{type(op).__name__} answers {got!r}, the model {wanted!r}"
                        raise _Differs(message, _code(lab, so_far, at, wanted), so_far)


async def _answers(face: Face, ops: Step) -> list[Any]:
    """One put or delete through its method, everything else through batch."""
    op = ops[0]
    if len(ops) > 1 or not isinstance(op, PutOp):
        return await face.batch(ops)
    if op.value is None:
        return [await face.delete(op.namespace, op.key)]
    return [await face.put(op.namespace, op.key, op.value, op.index)]


def _normal(op: Op, result: Any) -> Any:
    """What of an answer is compared: a page by how many it holds, a query by keys and scores, the rest whole."""
    return None if result is None else eval(_measure(op), {"result": result})  # noqa: S307 - the kit's own sources


def _measure(op: Op) -> str:
    """The same as source, in terms of `result`."""
    if isinstance(op, GetOp):
        return "result and result.value"
    if isinstance(op, SearchOp) and op.query:
        return "sorted((i.namespace, i.key, i.score and round(i.score, 3) + 0.0) for i in result)"
    if isinstance(op, SearchOp):
        whole = op.limit >= EVERYTHING and not op.offset
        return (
            "sorted((i.namespace, i.key, repr(sorted(i.value.items()))) for i in result)"
            if whole
            else "len({(i.namespace, i.key) for i in result})"
        )
    if isinstance(op, ListNamespacesOp):
        return "sorted(result)" if op.limit >= EVERYTHING and not op.offset else "len(set(result))"
    return "result"


def _code(lab: Lab, program: list[Step], at: int | None = None, wanted: Any = None) -> str:
    """The program as a reproduction; the `at`-th answer of its last step should have measured `wanted` (None: the last step raises)."""
    lines = [_call(lab, ops) for ops in program]
    if at is not None:
        batch = lab.code(f"batch({_source(program[-1])})")
        lines[-1] = f"result = {batch if lab.face == 'sync' else f'({batch})'}[{at}]"
        lines.append(f"assert {_measure(program[-1][at])} == {wanted!r}")
    head = [f"@reproduce({lab.factory.name!r}{lab.options()})", f"{'async ' if lab.face == 'async' else ''}def example(store):"]
    code = "\n".join([*head, *(f"    {line}" for line in lines)])
    return "\n".join([*imports(code), code])


def _call(lab: Lab, ops: Step) -> str:
    op = ops[0]
    if len(ops) == 1 and isinstance(op, PutOp):
        if op.value is None:
            return lab.code(f"delete({op.namespace!r}, {op.key!r})")
        return lab.code(f"put({op.namespace!r}, {op.key!r}, {op.value!r}{'' if op.index is None else f', {op.index!r}'})")
    return lab.code(f"batch({_source(ops)})")


def _source(ops: Step) -> str:
    """Operations as source, without the fields that have their defaults."""
    return f"[{', '.join(_operation(op) for op in ops)}]"


def _operation(op: Op) -> str:
    fields = [
        f"{name}={value!r}" for name, value in op._asdict().items() if name not in op._field_defaults or value != op._field_defaults[name]
    ]
    return f"{type(op).__name__}({', '.join(fields)})"
