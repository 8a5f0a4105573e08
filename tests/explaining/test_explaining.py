"""`FluxMem.explain`: what it says is what happened, of a recall and of a node; it shows nothing that is hidden, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langgraph_fluxmem import Activation, Episode, Feedback, FluxMem, InvalidContentError, Step, UnknownIdError
from langgraph_fluxmem.cli import main
from langgraph_fluxmem.explaining import Explanation, NodeExplanation, RecallExplanation
from langgraph_fluxmem.explaining.telling import MEANING
from langgraph_fluxmem.signals import SIGNALS, VERIFY

ADA, EVE = ("acme", "ada"), ("acme", "eve")
FACTS = [
    "Ada is on the team plan.",
    "Bob prefers tea.",
    "The team plan costs ten euros.",
    "Plans are changed on the first of a month.",
    "Refunds go through the billing desk.",
    "Eve asked which plan is best for a team.",
]
QUERY = "which plan is she on?"
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


def of_recall(mem: FluxMem, activation: Activation) -> RecallExplanation:
    found = mem.explain(activation)
    assert isinstance(found, RecallExplanation)
    return found


def of_id(mem: FluxMem, id: str, **options: Any) -> NodeExplanation:
    found = mem.explain(id, **options)
    assert isinstance(found, NodeExplanation)
    return found


def taught(mem: FluxMem) -> tuple[list[str], str]:
    """A memory that has learned that the fourth and fifth fact serve the query; (fact ids, id of the last operation)."""
    ids = mem.remember(FACTS, namespace=ADA)
    operation = ""
    for _ in range(3):
        activation = mem.recall(QUERY, namespace=ADA, k=2)
        operation = mem.learn(activation, Feedback(outcome="success", used=[ids[4], ids[1]])).operation
    return ids, operation


def refunds(mem: FluxMem, grounded: str = "", count: int = 6) -> list[str]:
    used = (grounded,) if grounded else ()
    commits = []
    for number in range(17, 17 + count):
        steps = (Step(action=f"open order {number}"), Step(observation="an order", action=f"refund order {number}", used=used))
        commits.append(mem.commit(Episode(id=f"ep{number}", task=f"refund order {number}", steps=steps, outcome="success"), namespace=ADA))
    return commits


# -------------------------------------------------------------------------------------------------------------------------- recalls
def test_shares_add_up_and_learned_links_name_their_evidence(mem: FluxMem) -> None:
    ids, last = taught(mem)
    found = of_recall(mem, mem.recall(QUERY, namespace=ADA, k=3))
    facts = [reason for reason in found.reasons if reason.what == "fact"]
    assert {ids[4], ids[1]} <= {reason.id for reason in facts}
    for reason in facts:
        assert sum(reason.signals.values()) == pytest.approx(reason.score)
    learned = next(reason for reason in facts if reason.id == ids[4])
    assert learned.links_total == 3
    assert learned.signals["served"] == pytest.approx(2.5 * min(1.0, sum(link.say for link in learned.links)))
    assert {proof.channel for link in learned.links for proof in link.proofs} == {"progress"}
    assert last in {proof.operation for link in learned.links for proof in link.proofs}
    assert learned.counts == {"progress": 3.0}
    assert all(link.task == QUERY for link in learned.links)


def test_without_learning_is_what_a_memory_that_learned_nothing_recalls(mem: FluxMem, tmp_path: Path) -> None:
    taught(mem)
    for question in ("does she like tea?", "what is best for a team?", "where do refunds go?") * 5:
        activation = mem.recall(question, namespace=ADA, k=4)
        mem.learn(activation, Feedback(outcome="success", used=[activation.facts[-1].id]))
    found = of_recall(mem, mem.recall(QUERY, namespace=ADA, k=3))
    with FluxMem.open(tmp_path / "fresh", chroma="off") as fresh:
        fresh.remember(FACTS, namespace=ADA)
        plain = [fact.id for fact in fresh.recall(QUERY, namespace=ADA, k=3).facts]
    ranks = {reason.id: reason.without for reason in found.reasons if reason.what == "fact"}
    again = sorted([(rank, id) for id, rank in ranks.items() if rank] + [(missed.rank, missed.id) for missed in found.missed])
    assert [id for _, id in again] == plain
    assert [rank for rank, _ in again] == [1, 2, 3]
    assert found.learned
    assert {reason.id for reason in found.learned}.isdisjoint(plain)
    assert found.moved
    assert found.judged >= 1


def test_what_is_undone_is_no_reason(mem: FluxMem) -> None:
    ids, last = taught(mem)
    mem.undo(last)
    found = of_recall(mem, mem.recall(QUERY, namespace=ADA, k=3))
    told = {proof.operation for reason in found.reasons for link in reason.links for proof in link.proofs}
    assert told
    assert last not in told
    fact = of_id(mem, ids[4])
    assert {proof.operation for proof in fact.proofs if not proof.counts} == {last}
    assert fact.evidence == {"progress": 4.0}  # two recalls that it served, and twice together with the other fact


def test_hidden_commits_are_no_reason(mem: FluxMem) -> None:
    ids, commits = mem.remember(FACTS, namespace=ADA), []
    for number in range(2):
        step = Step(action="answer", used=(ids[4],))
        commits.append(mem.commit(Episode(id=f"e{number}", task=QUERY, steps=(step,), outcome="success"), namespace=ADA))
    activation = mem.recall(QUERY, namespace=ADA, k=3).model_copy(update={"hidden": (commits[0],)})
    found = of_recall(mem, activation)
    told = {proof.commit for reason in found.reasons for link in reason.links for proof in link.proofs}
    told |= {proof.commit for reason in found.reasons for proof in reason.proofs}
    assert told == {commits[1]}
    assert found.hidden == 1


def test_steps_and_skills_name_their_evidence(mem: FluxMem) -> None:
    fact = mem.remember(FACTS, namespace=ADA)[4]
    commits = refunds(mem, fact)
    mem.consolidate(namespace=ADA)
    found = of_recall(mem, mem.recall("refund order 44", namespace=ADA, k=3))
    step = next(reason for reason in found.reasons if reason.what == "step")
    assert {proof.commit for proof in step.proofs} == set(commits)
    assert step.counts["progress"] == sum(proof.weight for proof in step.proofs) == 6.0
    skill = next(reason for reason in found.reasons if reason.what == "skill")
    assert skill.path == ("distilled from 6 episodes",)  # it matched by itself
    mem.commit(
        Episode(
            id="again", task="refund order 44", steps=(Step(action="open order 44"), Step(action="refund order 44")), outcome="success"
        ),
        namespace=ADA,
    )
    mem.consolidate(namespace=ADA)
    skill = next(reason for reason in of_recall(mem, mem.recall("refund order 44", namespace=ADA, k=3)).reasons if reason.what == "skill")
    assert [proof.task for proof in skill.proofs] == ["refund order 44"]
    assert skill.counts["successes"] == 1.0
    assert [episode.without for episode in found.reasons if episode.what == "episode"] == [1, 2, 3]


def test_a_mature_skill_that_answers_alone_is_told(mem: FluxMem) -> None:
    fact = mem.remember(FACTS, namespace=ADA)[4]
    for part in (range(12), range(12, 24)):
        for number in part:
            steps = (Step(action=f"open order {number}"), Step(observation="an order", action=f"refund order {number}", used=(fact,)))
            mem.commit(Episode(id=f"ep{number}", task=f"refund order {number}", steps=steps, outcome="success"), namespace=ADA)
        mem.consolidate(namespace=ADA)
    activation = mem.recall("refund order 7", namespace=ADA)
    assert activation.skills[0].status == "mature"
    found = of_recall(mem, activation)
    assert found.fast == activation.skills[0].id
    assert [reason.id for reason in found.reasons if reason.what == "fact"] == [fact]
    assert found.missed, "without the skill there would have been a search"
    assert "without a search" in str(found)
    assert "without a search" in found._repr_html_()


def test_a_fact_of_another_namespace_and_repairs(mem: FluxMem) -> None:
    shared = mem.remember("The team plan has ten seats.", namespace=("acme", "shared"))[0]
    mem.remember(FACTS, namespace=ADA)
    activation = mem.recall("team plan seats", namespace=ADA, also=[("acme", "shared")], k=2)
    again = mem.refine(activation, Feedback(outcome="failure", harmful=[activation.facts[-1].id], detail="not that one"))
    found = of_recall(mem, again)
    assert shared in {reason.id for reason in found.reasons}
    assert [edit.action for edit in found.repaired] == [edit.action for edit in again.edits]
    assert str(found).count("repaired:") == len(again.edits)


def test_an_explanation_is_of_the_memory_that_was_recalled_from(mem: FluxMem) -> None:
    ids, last = taught(mem)
    refunds(mem)
    activation = mem.recall(QUERY, namespace=ADA, k=3)
    before = of_recall(mem, activation)
    mem.undo(last)
    mem.learn(mem.recall(QUERY, namespace=ADA), Feedback(outcome="success", used=[ids[2]], harmful=[ids[4]]))
    mem.consolidate(namespace=ADA)
    mem.remember("Which plan she is on was asked.", namespace=ADA)
    assert of_recall(mem, activation) == before
    assert of_recall(mem, mem.recall(QUERY, namespace=ADA, k=3)) != before


def test_a_recall_in_the_past_is_explained_there(mem: FluxMem) -> None:
    _, last = taught(mem)
    refunds(mem)
    then = mem.as_of(commit=last).recall("refund order 17", namespace=ADA, k=3)
    found = of_recall(mem, then)
    assert {reason.what for reason in found.reasons} == {"fact"}
    assert found.position == found.head


def test_an_activation_from_a_graph_s_state_is_explained(mem: FluxMem) -> None:
    mem.remember(FACTS, namespace=ADA)
    activation = mem.recall(QUERY, namespace=ADA, k=2)
    bare = activation.model_copy(update={"facts": tuple(fact.model_copy(update={"content": ""}) for fact in activation.facts)})
    assert [reason.text for reason in of_recall(mem, bare).reasons] == [fact.content for fact in activation.facts]


def test_reading_writes_nothing(mem: FluxMem) -> None:
    ids, _ = taught(mem)
    refunds(mem)
    head = mem.engine.ledger.head()
    mem.explain(mem.recall(QUERY, namespace=ADA))
    mem.explain(ids[0])
    assert mem.engine.ledger.head() == head
    assert mem.verify() == []


# ---------------------------------------------------------------------------------------------------------------------------- nodes
def test_versions_of_an_item(mem: FluxMem) -> None:
    for text in ("on the free plan", "on the team plan"):
        mem.store.put(ADA, "plan", {"text": text})
    first = of_id(mem, mem.recall("plan", namespace=ADA).facts[0].id)
    assert [version.state for version in first.versions] == ["superseded", "current"]
    assert ["free" in first.versions[0].text, "team" in first.versions[1].text] == [True, True]
    assert of_id(mem, first.versions[0].id).content == first.versions[0].text
    mem.store.delete(ADA, "plan")
    gone = of_id(mem, first.node)
    assert gone.state == "gone"
    assert [change.verb for change in gone.changes] == ["put", "put", "put"] or gone.changes[-1].did == ("took it away",)


def test_a_fact_names_what_rests_on_it(mem: FluxMem) -> None:
    fact = mem.remember(FACTS, namespace=ADA, source="handbook")[4]
    commits = refunds(mem, fact, count=2)
    found = of_id(mem, fact)
    assert (found.kind, found.namespace, found.source, found.state) == ("fact", ADA, "handbook", "current")
    assert set(found.dependents) == set(commits)
    assert {(tie.kind, tie.text) for tie in found.ties} == {
        (kind, f"refund order {number}") for kind in ("GROUNDS", "RELATES") for number in (17, 18)
    }
    assert not any(tie.incoming for tie in found.ties)
    assert [change.did[0] for change in found.changes] == ["wrote a version", "edge GROUNDS", "edge GROUNDS"]
    assert mem.undo(found.changes[0].operation, cascade=True)
    assert of_id(mem, fact).state == "undone"
    assert not any(change.counts for change in of_id(mem, fact).changes)


def test_every_kind_of_id_leads_to_its_episode(mem: FluxMem) -> None:
    commit = refunds(mem, count=1)[0]
    version = mem.recall("refund order 17", namespace=ADA).episodes[0].id
    for id in ("ep17", commit, version, version.partition(":")[0], f"{version}#1"):
        found = of_id(mem, id)
        assert (found.kind, found.title) == ("episode", "refund order 17")
        assert [(step.action, step.progress) for step in found.steps] == [("open order 17", 1.0), ("refund order 17", 1.0)]
        assert found.versions[0].commit == commit


def test_a_judgement_that_comes_later_is_told(mem: FluxMem) -> None:
    mem.commit(Episode(id="late", task="water the plants", steps=(Step(action="water"),)), namespace=ADA)
    assert of_id(mem, "late").proofs_total == 0
    judged = mem.learn("late", Feedback(outcome="success"))
    assert [proof.operation for proof in of_id(mem, "late").proofs] == [judged.operation]
    mem.reset_learning(namespace=ADA)
    assert [proof.counts for proof in of_id(mem, "late").proofs] == [False]
    assert of_id(mem, "late").evidence == {}


def test_a_skill_shows_its_history(mem: FluxMem) -> None:
    refunds(mem)
    mem.consolidate(namespace=ADA)
    skill = of_id(mem, mem.recall("refund order 44", namespace=ADA).skills[0].id)
    assert skill.kind == "skill"
    assert len(skill.pems) == 1
    assert {tie.kind for tie in skill.ties} == {"DISTILLS"}
    assert all(tie.incoming and tie.other_kind == "episode" for tie in skill.ties)
    assert skill.details["status"] == "candidate"


def test_erased_content_is_not_told(mem: FluxMem) -> None:
    from langgraph_fluxmem.edits import NodeWrite, Plan

    fact = mem.remember("the secret is xyzzy", namespace=ADA)[0]
    node = fact.partition(":")[0]
    mem.engine.ledger.apply(Plan("erase-1", "delete", ADA, (NodeWrite(f"{node}:gone", node, "fact", None, erase=True),)))
    found = of_id(mem, fact)
    assert [version.state for version in found.versions] == ["erased", "tombstone"]
    assert "xyzzy" not in found.text() + found.model_dump_json() + found._repr_html_()


def test_ids_are_looked_up_where_one_may_look(mem: FluxMem) -> None:
    fact = mem.remember(FACTS, namespace=ADA)[0]
    for namespace in (ADA, EVE):
        mem.commit(Episode(id="same", task=f"task of {namespace[1]}", outcome="success"), namespace=namespace)
    with pytest.raises(UnknownIdError, match="names nothing in namespace 'acme.eve'"):
        mem.explain(fact, namespace=EVE)
    with pytest.raises(UnknownIdError, match="in several namespaces: acme.ada, acme.eve"):
        mem.explain("same")
    assert of_id(mem, "same", namespace=EVE).title == "task of eve"
    commit = of_id(mem, "same", namespace=ADA).versions[0].commit
    assert commit is not None
    with pytest.raises(UnknownIdError):
        mem.explain(commit, namespace=EVE)
    with pytest.raises(UnknownIdError, match="names nothing in this memory"):
        mem.explain("100%")
    with pytest.raises(InvalidContentError, match="explain\\(\\) got a int"):
        mem.explain(7)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------- how it is told
def test_a_terminal_is_told_nothing_to_obey(tmp_path: Path) -> None:
    with FluxMem.open(tmp_path / "m", chroma="off") as mem:
        (fact,) = mem.remember("the door is \x1b[2Jgreen\x1b]0;owned\x07 and the key\nlies behind it")
        for told in (mem.explain(fact), mem.explain(mem.recall("green door"))):
            assert "green" in told.text()
            assert all(char.isprintable() for char in told.text().replace("\n", ""))


def test_stored_text_cannot_speak_html(mem: FluxMem) -> None:
    fact = mem.remember([f"{HOSTILE} one", f"{HOSTILE} two"], namespace=ADA, source=HOSTILE)[0]
    step = Step(observation=HOSTILE, action={"name": HOSTILE}, result=HOSTILE, used=(fact,))
    mem.commit(Episode(id="e", task=f"{HOSTILE} one", steps=(step,), outcome="success", metadata={HOSTILE: HOSTILE}), namespace=ADA)
    activation = mem.recall(f"{HOSTILE} one", namespace=ADA)
    again = mem.refine(activation, Feedback(outcome="failure", used=[fact], detail=HOSTILE))
    pages = [x._repr_html_() for x in (activation, mem.explain(activation), mem.explain(again), mem.explain(fact), mem.explain("e"))]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
        assert page.count("<table") == page.count("</table>")


def test_every_signal_has_a_meaning() -> None:
    assert {signal.name for signal in SIGNALS} | {VERIFY} <= MEANING.keys()


async def test_the_async_twin_says_the_same(mem: FluxMem) -> None:
    ids, _ = taught(mem)
    activation = mem.recall(QUERY, namespace=ADA)
    assert await mem.aexplain(activation) == mem.explain(activation)
    assert await mem.aexplain(ids[4]) == mem.explain(ids[4])


def test_an_explanation_survives_json(mem: FluxMem) -> None:
    ids, _ = taught(mem)
    for found in (mem.explain(mem.recall(QUERY, namespace=ADA)), mem.explain(ids[4])):
        assert isinstance(found, Explanation)
        assert type(found).model_validate_json(found.model_dump_json()) == found


def test_the_command(mem: FluxMem, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids, _ = taught(mem)
    place = str(tmp_path / "memory")
    mem.close()
    assert main(["explain", QUERY, place, "-n", "acme.ada", "--k", "3"]) == 0
    out = capsys.readouterr().out
    assert "without learning: would not have come" in out
    assert f"via {QUERY!r}" in out
    assert main(["explain", ids[4], place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == ids[4]
    assert main(["explain", ids[4], place]) == 0
    assert "what happened to it" in capsys.readouterr().out


def test_what_was_compacted_away_is_not_told_and_the_rest_is(mem: FluxMem) -> None:
    ids, last = taught(mem)
    refunds(mem, ids[4])
    for text in ("on the free plan", "on the team plan"):
        mem.store.put(ADA, "plan", {"text": text})
    activation = mem.recall(QUERY, namespace=ADA, k=3)
    mem.undo(last)
    mem.consolidate(namespace=ADA)
    before = {row.id: of_id(mem, row.id) for row in mem.engine.ledger.nodes(ADA)}
    mem.compact(keep=0)
    assert "changed since" in str(mem.explain(activation))
    for id, was in before.items():
        found = of_id(mem, id)
        assert (found.content, found.evidence, found.state) == (was.content, was.evidence, "current")
        assert [version.id for version in found.versions] == [version.id for version in was.versions if version.state == "current"]
        assert found.text()
    assert not any(not proof.counts for id in before for proof in of_id(mem, id).proofs)
