"""The kit in pytest: one test for each check, made by `conformance_tests`.

Loaded as a plugin (`-p langgraph_fluxmem.testing.conformance.pytest_plugin`) it adds `--conformance-report FILE`, which writes what came
out, as Markdown or, if the file ends in .json, as JSON.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .factories import Factory, StoreFactory
from .model import Check, Result
from .runner import Conformance, plan

if TYPE_CHECKING:
    import pytest

_runs: list[_Run] = []


class _Run:
    """Checks of one factory within a pytest session. Rules that wait for time to pass run side by side, as soon as one is wanted."""

    def __init__(self, factory: str | Factory | StoreFactory) -> None:
        self.conformance = Conformance(factory)
        self.results: dict[str, Result] = {}
        self._lock = threading.Lock()

    def result(self, check: Check, wanted: Sequence[Check]) -> Result:
        with self._lock:
            if check.name not in self.results:
                together = [c for c in wanted if c.rule.waits] if check.rule.waits else [check]
                for result in self.conformance.run_all(together or [check]):
                    self.results[result.check.name] = result
            return self.results[check.name]


def conformance_tests(
    factory: str | Factory | StoreFactory, *, only: Sequence[str] = (), known: Mapping[str, str] | None = None
) -> Callable[..., None]:
    """A test function, parametrised over every check of the kit; assign it to a name that starts with `test`.

    `only` keeps rules whose id starts with one of the given texts. `known` maps rule ids to reasons: these may fail, and are reported as
    expected failures. What the store does not offer is skipped, with the reason.
    """
    import pytest  # noqa: PLC0415 - the kit runs without pytest, too

    run = _Run(factory)
    _runs.append(run)
    expected = dict(known or {})
    checks = plan(only=only)

    @pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in checks])
    def test_conformance(check: Check, request: pytest.FixtureRequest) -> None:
        wanted = [item.callspec.params["check"] for item in request.session.items if getattr(item, "obj", None) is request.function]  # type: ignore[attr-defined]
        result = run.result(check, wanted)
        if result.outcome == "not offered":
            pytest.skip(f"not offered: {result.detail}")
        if result.outcome == "fail":
            message = f"{check.rule.id}: {check.rule.title}\n{result.detail}\n\n{result.reproduction}"
            if check.rule.id in expected:
                pytest.xfail(f"{expected[check.rule.id]}: {result.detail}")
            pytest.fail(message, pytrace=False)

    return test_conformance


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--conformance-report", metavar="FILE", help="write the store conformance report to FILE (.md or .json)")


def pytest_sessionfinish(session: Any) -> None:
    from .report import Report  # noqa: PLC0415 - only if a report is wanted

    target = session.config.getoption("--conformance-report", None)
    if not target:
        return
    reports = [Report.of(run.conformance, list(run.results.values())) for run in _runs if run.results]
    path = Path(target)
    parts = [report.json() if path.suffix == ".json" else report.markdown() for report in reports]
    path.write_text("\n".join(parts), encoding="utf-8")
