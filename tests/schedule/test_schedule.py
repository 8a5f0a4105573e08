"""Schedules: crons without duplicates against a server that only pretends, the command, and the thread of an embedded memory."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from langgraph_fluxmem import ConfigError, FluxMem, schedule
from langgraph_fluxmem.__main__ import main
from langgraph_fluxmem.schedule import NIGHTLY, Scheduler
from tests.consolidation.tasks import HERE, commit, login, skills


class Crons:
    """Crons of a server: made, never replaced, as LangGraph does it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.threads: list[dict[str, Any]] = []
        self.count = itertools.count()

    def create_for_thread(self, thread: str | None, graph: str, *, metadata: dict[str, Any], **payload: Any) -> None:
        if graph == "nothing":
            raise ConfigError("no such graph")
        number = next(self.count)
        self.rows.append(
            {
                "cron_id": f"id{number}",
                "created_at": f"2026-01-01T00:00:{number:02}",
                "metadata": metadata,
                "thread_id": thread,
                **self._row(payload),
            }
        )

    def update(self, cron_id: str, **payload: Any) -> None:
        next(row for row in self.rows if row["cron_id"] == cron_id).update(self._row(payload))

    def delete(self, cron_id: str) -> None:
        self.rows = [row for row in self.rows if row["cron_id"] != cron_id]

    def search(self, *, metadata: dict[str, Any], limit: int, offset: int) -> list[dict[str, Any]]:
        found = [row for row in self.rows if metadata.items() <= row["metadata"].items()]
        return found[::-1][offset : offset + limit]

    @staticmethod
    def _row(payload: dict[str, Any]) -> dict[str, Any]:
        return {"schedule": payload["schedule"], "payload": {"input": payload["input"]}, "next_run_date": None}


@pytest.fixture
def crons(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crons]:
    made = Crons()

    @contextmanager
    def client(url: str, api_key: str | None) -> Iterator[Any]:
        yield SimpleNamespace(crons=made, threads=SimpleNamespace(create=lambda **given: made.threads.append(given)))

    monkeypatch.setattr(schedule, "_client", client)
    yield made


def test_a_schedule_registered_three_times_is_one_cron(crons: Crons):
    ids = {schedule.schedule("http://server", namespace=("acme", "ada")).id for _ in range(3)}
    assert (len(ids), len(crons.rows)) == (1, 1)
    (found,) = schedule.scheduled("http://server")
    assert (found.namespace, found.cron, found.thresholds) == (("acme", "ada"), NIGHTLY, {})


def test_a_schedule_is_changed_where_there_is_one(crons: Crons):
    first = schedule.schedule("http://server", namespace=HERE)
    again = schedule.schedule("http://server", namespace=HERE, cron="*/5 * * * *", thresholds={"epsilon": 0.1})
    assert (again.id, again.cron, again.thresholds) == (first.id, "*/5 * * * *", {"epsilon": 0.1})


def test_of_schedules_made_at_once_the_oldest_stays(crons: Crons):
    first = schedule.schedule("http://server", namespace=HERE)
    for _ in range(2):  # as two servers that searched before either had created
        row = crons.rows[0]
        crons.create_for_thread(
            row["thread_id"], "consolidation", metadata=row["metadata"], schedule=NIGHTLY, input={"namespace": list(HERE)}
        )
    assert len(crons.rows) == 3
    assert schedule.schedule("http://server", namespace=HERE).id == first.id
    assert len(crons.rows) == 1


def test_all_fires_of_a_schedule_run_on_one_thread_that_is_there(crons: Crons):
    made = [schedule.schedule("http://server", namespace=HERE) for _ in range(2)]
    assert {cron.thread for cron in made} == {schedule.thread_of(HERE)} != {schedule.thread_of(("other",))}
    assert [(row["thread_id"], row["if_exists"]) for row in crons.threads] == [(made[0].thread, "do_nothing")] * 2


def test_a_schedule_takes_the_place_of_a_cron_of_ours_without_a_thread(crons: Crons):
    metadata = {"langgraph_fluxmem": "consolidation", "namespace": ".".join(HERE)}
    crons.create_for_thread(None, "consolidation", metadata=metadata, schedule=NIGHTLY, input={"namespace": list(HERE)})
    made = schedule.schedule("http://server", namespace=HERE)
    assert [row["cron_id"] for row in crons.rows] == [made.id] != ["id0"]


def test_schedules_of_namespaces_stay_apart_and_other_crons_are_left_alone(crons: Crons):
    crons.create_for_thread(None, "mine", metadata={}, schedule=NIGHTLY, input={})
    for name in ("ada", "bob"):
        schedule.schedule("http://server", namespace=("acme", name))
    assert [found.namespace for found in schedule.scheduled("http://server")] == [("acme", "ada"), ("acme", "bob")]
    assert schedule.unschedule("http://server", namespace=("acme", "ada")) == 1
    assert [found.namespace for found in schedule.scheduled("http://server")] == [("acme", "bob")]
    assert schedule.unschedule("http://server") == 1
    assert len(crons.rows) == 1


def test_many_schedules_are_listed_page_by_page(crons: Crons):
    for number in range(250):
        crons.create_for_thread(
            None,
            "consolidation",
            metadata={"langgraph_fluxmem": "consolidation", "namespace": str(number)},
            schedule=NIGHTLY,
            input={"namespace": [str(number)]},
        )
    assert len({found.id for found in schedule.scheduled("http://server")}) == 250


async def test_a_schedule_has_async_twins(crons: Crons):
    made = await schedule.aschedule("http://server", namespace=HERE)
    assert await schedule.ascheduled("http://server") == [made]
    assert await schedule.aunschedule("http://server") == 1


def test_a_schedule_is_checked_before_the_server_is_asked(crons: Crons):
    with pytest.raises(ConfigError, match="epsilom"):
        schedule.schedule("http://server", thresholds={"epsilom": 1})
    assert crons.rows == []


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"no LangGraph server answers at http://127\.0\.0\.1:9"):
        schedule.scheduled("http://127.0.0.1:9")


def test_the_schedule_command_makes_lists_and_removes(crons: Crons, capsys: pytest.CaptureFixture[str]):
    assert main(["schedule", "--list"]) == 0
    assert capsys.readouterr().out == "nothing is scheduled\n"
    assert main(["schedule", "--namespace", "acme.ada", "--cron", "0 4 * * *"]) == 0
    assert main(["schedule", "--namespace", "acme.ada"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("acme.ada\t0 3 * * *")
    assert main(["schedule", "--remove"]) == 0
    assert capsys.readouterr().out == "removed 1\n"
    assert crons.rows == []
    assert main(["schedule", "--graph", "nothing"]) == 1
    assert "error: no such graph" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------------------------- embedded
def test_the_embedded_schedule_consolidates_every_namespace(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    for n in range(5):
        mem.commit(login(n), namespace=("other",))
    scheduler = Scheduler(mem)
    assert sorted(report.namespace for report in scheduler.run_once()) == [["memories"], ["other"]]
    assert len(skills(mem)) == 1
    assert [report.stopped for report in scheduler.run_once()] == ["no episode is new"] * 2
    assert len(scheduler.reports) == 4


def test_the_embedded_schedule_runs_in_its_thread_until_it_is_stopped(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    done = threading.Event()
    with Scheduler(mem, every=0.001, namespaces=[HERE], on_report=lambda report: done.set()) as scheduler:
        assert done.wait(60)
    assert scheduler.reports[0].operation is not None
    assert not [thread for thread in threading.enumerate() if thread.name == "fluxmem-consolidation"]


def test_the_embedded_schedule_keeps_failures_and_goes_on(mem: FluxMem, caplog: pytest.LogCaptureFixture):
    commit(mem, *(login(n) for n in range(5)))
    for n in range(5):
        mem.commit(login(n), namespace=("other",))

    class Broken:
        def judge(self, task: Any) -> Any:
            raise RuntimeError("no model today")

        async def ajudge(self, task: Any) -> Any:
            raise RuntimeError("no model today")

    scheduler = Scheduler(mem, model=Broken())
    assert scheduler.run_once() == []
    assert [(namespace, str(error)) for namespace, error in scheduler.failures] == [
        (("memories",), "no model today"),
        (("other",), "no model today"),
    ]
    assert "consolidation of memories failed" in caplog.text
    told: list[Any] = []
    Scheduler(mem, model=Broken(), namespaces=[HERE], on_error=lambda namespace, error: told.append(namespace)).run_once()
    assert told == [HERE]


def test_two_embedded_schedules_at_once_make_one_consolidation(mem: FluxMem):
    commit(mem, *(login(n) for n in range(5)))
    schedulers = [Scheduler(mem, namespaces=[HERE]) for _ in range(4)]
    threads = [threading.Thread(target=scheduler.run_once) for scheduler in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [row.kind for row in mem.engine.ledger.operations(HERE)].count("consolidate") == 1
    assert len(skills(mem)) == 1
    assert not any(scheduler.failures for scheduler in schedulers)


def test_the_embedded_schedule_refuses_an_interval_that_cannot_be(mem: FluxMem):
    with pytest.raises(ConfigError, match="every is 0"):
        Scheduler(mem, every=0)
