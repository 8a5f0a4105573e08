"""The package as others meet it: what importing costs, what it exports, that both faces say the same."""

from __future__ import annotations

import inspect
import subprocess
import sys

import langgraph_fluxmem
from langgraph_fluxmem import FluxMem


def test_importing_the_package_imports_none_of_the_heavy_ones() -> None:
    script = "import sys, langgraph_fluxmem; print([name for name in ('chromadb', 'networkx', 'sqlalchemy', 'numpy', 'langgraph') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_opening_and_recalling_without_chroma_imports_no_chroma(tmp_path) -> None:
    script = (
        "import sys; from langgraph_fluxmem import FluxMem\n"
        f"with FluxMem.open({str(tmp_path / 'm')!r}, chroma='off') as mem: mem.remember('a fact'); mem.recall('fact')\n"
        "print([name for name in ('chromadb', 'networkx', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_everything_exported_can_be_had() -> None:
    for name in langgraph_fluxmem.__all__:
        assert getattr(langgraph_fluxmem, name) is not None
    assert set(langgraph_fluxmem.__all__) <= set(dir(langgraph_fluxmem))


def test_every_call_has_its_twin_with_the_same_arguments() -> None:
    public = {name: getattr(FluxMem, name) for name in dir(FluxMem) if not name.startswith("_") and callable(getattr(FluxMem, name))}
    twins = [name for name in public if inspect.iscoroutinefunction(getattr(FluxMem, name))]
    assert len(twins) > 8
    for name in twins:
        ours, theirs = (inspect.signature(getattr(FluxMem, which)) for which in (name[1:], name))
        assert ours.parameters.items() == theirs.parameters.items(), name
    alone = {name for name in public if f"a{name}" not in public and name not in twins}
    assert alone <= {"nodes", "as_retriever", "on_event", "as_of"}, "what does no IO needs no twin"
