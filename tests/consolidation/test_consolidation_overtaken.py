"""What is undone while a consolidation runs: none of its skills is made of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.testing import faults

from .tasks import HERE, commit, login, world


@pytest.mark.parametrize("stage", ["snapshot", "induce", "rewrite", "facts"])
def test_what_is_undone_while_a_consolidation_runs_is_in_none_of_its_skills(mem: FluxMem, stage: str):
    mem.remember("The login page opens at eight.", namespace=HERE)
    commit(mem, *(login(n) for n in range(6)))
    victim = next(row.id for row in mem.engine.ledger.commits(HERE) if row.episode == login(3).id)

    def undo(entry: Mapping[str, Any]) -> None:
        if entry["stage"] == stage:
            mem.undo(victim)

    report = mem.consolidate(namespace=HERE, replay=world(), progress=undo)
    live = {row.id for row in mem.engine.ledger.nodes(HERE, kinds=("episode",)) if row.body}
    sources = {episode for found in mem.engine.learned(HERE).skills.sources.values() for episode in found}
    assert len(live) == 5
    assert sources <= live
    assert [(skill.decision, skill.why) for skill in report.skills if skill.decision == "rejected"] == (
        [] if stage == "snapshot" else [("rejected", "1 of its 6 sources were undone meanwhile")]
    )
    commit(mem, login(7), login(8))
    assert [skill.decision for skill in mem.consolidate(namespace=HERE).skills] != []
    assert mem.verify() == []


def test_what_is_undone_when_the_plan_is_made_already_makes_it_anew(mem: FluxMem):
    commit(mem, *(login(n) for n in range(6)))
    victim = next(row.id for row in mem.engine.ledger.commits(HERE) if row.episode == login(3).id)
    with faults.armed("consolidation.writing", lambda: mem.undo(victim), at=1):
        report = mem.consolidate(namespace=HERE)
    assert [(skill.decision, skill.why) for skill in report.skills] == [("rejected", "1 of its 6 sources were undone meanwhile")]
    assert mem.engine.learned(HERE).skills.skills == {}
    assert mem.verify() == []
