"""Induction by rules, without a database: alignment, conditions, pitfalls, clusters."""

import numpy as np
import pytest

from langgraph_fluxmem.consolidation import Settings, alignment
from langgraph_fluxmem.consolidation.attempts import Act, Attempt, context_of, masked, trial
from langgraph_fluxmem.consolidation.clusters import cluster, mean_of
from langgraph_fluxmem.consolidation.conditions import Row, readable_action, readable_condition, rule
from langgraph_fluxmem.consolidation.induction import induce
from langgraph_fluxmem.skills import follow


def act(
    n: int, key: str, text: str | None = None, *, links: tuple[str, ...] = (), good: float = 1.0, bad: float = 0.0, loss: float = 0.0
) -> Act:
    text = text or key
    levels = tuple(dict.fromkeys((key.replace("<n>", "<n>"), key)))
    return Act(n, key, levels, text, text, links, "", good, bad, loss)


def attempt(name: str, keys: list[str | tuple[str, str]], *, ok: bool = True, task: str = "brew tea", **more) -> Attempt:
    acts = [act(n, key, **more) if isinstance(key, str) else act(n, *key, **more) for n, key in enumerate(keys)]
    return Attempt(name, task, "success" if ok else "failure", tuple(acts), int(name[1:]), {})


def test_runs_align_on_what_they_share_in_order():
    first, second = attempt("e1", ["a", "b", "c", "d"]).acts, attempt("e2", ["x", "b", "d", "y", "c"]).acts
    weight, pairs = alignment.align(first, second)
    assert weight == 2.0
    assert [first[i].key for i, _ in pairs] in (["b", "c"], ["b", "d"])
    assert all(first[i].key == second[j].key for i, j in pairs)


def test_acts_that_share_a_general_pattern_are_alike_and_a_bare_operation_is_not():
    one = Act(0, "take <n> from fridge", ("take <n> from <o>", "take <n> from fridge"), "t", "t", (), "", 1, 0, 0)
    other = Act(0, "take <n> from counter", ("take <n> from <o>", "take <n> from counter"), "u", "u", (), "", 1, 0, 0)
    assert alignment.likeness(one, other) == alignment.ALIKE
    bare = Act(0, "click on=a", ("click", "click on=a"), "t", "t", (), "", 1, 0, 0)
    another = Act(0, "click on=b", ("click", "click on=b"), "u", "u", (), "", 1, 0, 0)
    assert alignment.likeness(bare, another) == 0.0


def test_words_that_differ_become_gaps():
    assert alignment.common_text(["buy a red pen now", "buy a blue pen now", "buy a very old pen now"]) == "buy a … pen now"
    assert alignment.common_text(["same", "same"]) == "same"
    assert alignment.common_text(["one two", "three four"]) == "one two"


def test_consolidation_keeps_the_steps_that_most_successes_share_and_makes_the_others_conditional():
    links = ("n:with milk",)
    plain = [attempt(f"e{n}", ["boil", "steep", "serve"]) for n in range(4)]
    milky = [
        Attempt(f"e{n}", "brew tea", "success", (act(0, "boil"), act(1, "steep"), act(2, "add milk", links=links), act(3, "serve")), n, {})
        for n in range(4, 6)
    ]
    spoilt = [Attempt(f"e{n}", "brew tea", "failure", (act(0, "add milk", good=0.0, bad=1.0),), n, {}) for n in range(6, 9)]
    (found,) = induce([*plain, *milky, *spoilt], Settings())
    assert [(step.text, step.optional) for step in found.skill.steps] == [
        ("boil", False),
        ("steep", False),
        ("add milk", True),
        ("serve", False),
    ]
    assert found.skill.steps[2].when == ('a note says "with milk"',)
    assert len(found.sources) == 6
    assert found.skill.when == "the task is like: brew tea"


def test_consolidation_says_what_decides_between_two_ways_to_do_a_step():
    def cooked(n: int, how: str, tool: str) -> Attempt:
        step = Act(
            1, f"cook with {tool}", ("cook with <o>", f"cook with {tool}"), f"cook {tool}", f"cook {tool}", (f"n:{how} it",), "", 1.0, 0, 0
        )
        return Attempt(f"e{n}", "cook", "success", (act(0, "read"), step, act(2, "eat")), n, {})

    (found,) = induce([cooked(n, *(("fry", "stove") if n % 2 else ("roast", "oven"))) for n in range(8)], Settings())
    assert found.skill.steps[1].text == 'cook with oven (if a note says "roast it") or cook with stove (if a note says "fry it")'
    assert not found.skill.steps[1].optional


def test_consolidation_splits_a_cluster_whose_successes_do_different_things():
    tea = [attempt(f"e{n}", ["boil", "steep", "serve"]) for n in range(3)]
    toast = [attempt(f"e{n}", ["slice", "toast", "butter"]) for n in range(3, 6)]
    found = induce([*tea, *toast], Settings())
    assert [[step.text for step in one.skill.steps] for one in found] == [["boil", "steep", "serve"], ["slice", "toast", "butter"]]


def test_consolidation_needs_successes_that_share_something():
    assert induce([attempt("e1", ["a"])], Settings()) == []
    assert induce([attempt("e1", ["a"]), attempt("e2", ["b"])], Settings()) == []
    assert induce([attempt(f"e{n}", ["a", "b"], ok=False) for n in range(5)], Settings()) == []


def test_consolidation_makes_pitfalls_of_losses_that_recur_and_not_of_one():
    good = [attempt(f"e{n}", ["boil", "serve"]) for n in range(3)]
    bad = [
        Attempt(f"e{n}", "brew tea", "failure", (act(0, "boil"), act(1, "spill", good=0.0, bad=1.0, loss=1.0)), n, {}) for n in range(3, 5)
    ]
    (found,) = induce([*good, *bad], Settings())
    assert found.skill.pitfalls == ("do not spill: it ended badly 2 of 2 times",)
    (found,) = induce([*good, bad[0]], Settings())
    assert found.skill.pitfalls == ()


def test_a_rule_prefers_what_held_often_to_what_held_once():
    rows = [Row(frozenset({"often", f"id{n}"}), 1.0, 1.0) for n in range(10)] + [
        Row(frozenset({f"odd{n}"}), float(n == 0), 1.0) for n in range(10)
    ]
    found = rule(rows, conditions=4, z=1.28)
    assert found.when == ("often",)
    assert (found.good, found.total) == (10.0, 10.0)
    assert rule(rows[::-1], conditions=4, z=1.28) == found
    assert rule(rows, conditions=0, z=1.28).when == ()


def test_templates_and_conditions_read_as_sentences():
    assert readable_action("= <n> with knife") == "<as told> <1, from the notes> with knife"
    assert readable_condition("n:roast the _1") == 'a note says "roast the <1>"'
    assert readable_condition("o.room:_1~table") == 'seen in room "<1> table"'
    assert readable_condition("did:take _1") == '"take <1>" was done'
    assert readable_condition("owes _1 2") == "<1> is still asked for"
    assert readable_condition("start") == "at the start"


def test_a_skill_is_followed_when_all_its_steps_are_done_in_order():
    (found,) = induce([attempt(f"e{n}", ["boil", "steep", "serve"]) for n in range(3)], Settings())
    skill = found.skill
    assert follow(skill, attempt("e9", ["boil", "look", "steep", "serve"]).acts) == (0, 2, 3)
    assert follow(skill, attempt("e9", ["steep", "boil", "serve"]).acts) is None
    assert trial(skill, attempt("e9", ["boil", "steep", "serve"], ok=False)) is False
    assert trial(skill, attempt("e9", ["boil"], ok=False)) is None


def test_contexts_differ_by_task_and_by_what_fills_the_slots():
    (found,) = induce([attempt(f"e{n}", [("dice <n>", f"dice {n}"), "serve"]) for n in range(3)], Settings())
    one = attempt("e1", [("dice <n>", "dice onion"), "serve"])
    assert context_of(found.skill, one) == context_of(found.skill, attempt("e2", [("dice <n>", "dice onion"), "serve"]))
    assert context_of(found.skill, one) != context_of(found.skill, attempt("e2", [("dice <n>", "dice leek"), "serve"]))
    assert context_of(found.skill, one) != context_of(found.skill, attempt("e2", [("dice <n>", "dice onion"), "serve"], task="supper"))


def test_a_task_is_masked_where_its_actions_name_it():
    done = Act(0, "type text=<t>", ("type", "type text=<t>"), "type Ann Lee", {"op": "type", "text": "Ann Lee"}, (), "", 1, 0, 0)
    assert masked(Attempt("e1", 'Say hello to "Ann Lee", please', "success", (done,), 1, {})) == 'Say hello to "…", please'
    assert masked(Attempt("e1", "Wait", "success", (act(0, "wait"),), 1, {})) == "Wait"


def test_clusters_are_found_in_log_order_and_seeds_come_first():
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 0, 1, 2]]
    found = cluster(vectors, 0.75, [np.eye(4, dtype=np.float32)[1]])
    assert [(part.seed, part.members) for part in found] == [(0, [1, 3]), (None, [0, 2]), (None, [4])]
    assert cluster(np.zeros((0, 4), np.float32), 0.75) == []
    assert mean_of(vectors[:2]) == pytest.approx([2**-0.5, 2**-0.5, 0, 0])


def test_clusters_do_not_depend_on_the_block_they_are_compared_in(monkeypatch):
    from langgraph_fluxmem.consolidation import clusters

    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, 16))
    vectors = np.stack([centres[rng.integers(12)] + 0.25 * rng.normal(size=16) for _ in range(300)]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = [part.members for part in cluster(vectors, 0.75)]
    monkeypatch.setattr(clusters, "BLOCK", 7)
    assert [part.members for part in cluster(vectors, 0.75)] == whole
