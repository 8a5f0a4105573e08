"""Rules of a skill: induced from what was done, read by advice."""

from dataclasses import replace

import pytest
from langgraph_fluxmem import FluxMem, Situation
from langgraph_fluxmem.consolidation.attempts import Act
from langgraph_fluxmem.consolidation.rules import rules_of
from langgraph_fluxmem.consolidation.settings import Settings
from langgraph_fluxmem.skills import Skill, SkillRule
from langgraph_fluxmem.skills.guidance import SILENT, Guide

from .tasks import HERE, SCREEN, commit, login, skills


def act(key: str, *links: str, progress: float = 0.0, loss: float = 0.0) -> Act:
    return Act(0, key, (key,), key, key, links, "", progress, 1.0 - progress, loss)


FRIED = [act("cook <n> with stove", "n:fry the _1", "notes", progress=1.0)] * 6
BURNT = [act("cook <n> with stove", "n:roast the _1", "notes", loss=1.0)] * 6


def test_consolidation_rules_tell_what_leads_on_from_what_ends_badly():
    found = rules_of([*FRIED, *BURNT], Settings())
    assert [(rule.given, rule.good, rule.total, rule.ends) for rule in found] == [
        (("n:fry the _1",), 6.0, 6.0, False),
        (("n:roast the _1",), 6.0, 6.0, True),
    ]
    assert all(0.7 < rule.bound < 1.0 for rule in found)


def test_consolidation_rules_do_not_depend_on_the_order_of_acts():
    assert rules_of([*FRIED, *BURNT], Settings()) == rules_of([*BURNT, *FRIED], Settings())


def test_consolidation_makes_no_rule_of_what_happened_once():
    assert rules_of([act("pull lever", progress=1.0), act("push lever", loss=1.0)], Settings()) == ()


def guide(*rules: SkillRule) -> Guide:
    return Guide([("s-1", replace(Skill(node="s-1", name="cook", when="hungry", steps=()), rules=rules))])


def test_a_rule_speaks_only_where_all_its_conditions_hold():
    told = guide(SkillRule("cook", ("a", "b"), 9.0, 9.0, 0.8))
    assert told.says(("cook",), {"a"}) == SILENT == told.says(("eat",), {"a", "b"})
    said = told.says(("eat", "cook"), {"a", "b", "c"})
    assert (said.value, said.risk) == (0.8, 0.0)
    assert said.path == ("skill s-1: a and b -> cook: led on 9 of 9",)


@pytest.mark.parametrize(("bad", "value", "risk"), [(0.9, 0.0, 0.9), (0.7, 0.8, 0.0), (0.3, 0.8, 0.0)])
def test_of_a_rule_for_and_one_against_the_surer_one_speaks(bad: float, value: float, risk: float):
    both = guide(SkillRule("cook", ("a",), 9.0, 9.0, 0.8), SkillRule("cook", ("b",), 9.0, 9.0, bad, ends=True))
    said = both.says(("cook",), {"a", "b"})
    assert (said.value, said.risk) == (value, risk)


def test_advice_reads_the_skills_that_were_recalled(mem: FluxMem):
    commit(mem, *(login(n) for n in range(4)), *(login(n, ok=False) for n in range(4)))
    situation = Situation(task=login(50).task, observation=SCREEN)
    actions = [{"op": "click", "on": "Login"}, {"op": "click", "on": "Cancel"}]
    before = mem.recall(situation, namespace=HERE).advise(actions)
    mem.consolidate(namespace=HERE)
    activation = mem.recall(situation, namespace=HERE)
    after = activation.advise(actions)
    assert activation.skills and skills(mem)[0].rules
    assert not any("skill" in line for said in before for line in said.why.path)
    assert f"skill {activation.skills[0].id}" in after[0].why.path[0] and "led on" in after[0].why.path[0]
    assert "ended badly" in after[1].why.path[0]
    assert after[0].value >= before[0].value and after[1].risk >= before[1].risk
    without = activation.model_copy(update={"skills": ()}).bind(mem.engine.advise).advise(actions)
    assert without == before


def test_rules_of_a_skill_travel_as_json():
    skill = Skill(node="s-1", name="n", when="w", steps=(), rules=(SkillRule("cook", ("a",), 2.0, 3.0, 0.4, ends=True),))
    assert Skill.of(skill.body()) == skill
    older = {key: value for key, value in skill.body().items() if key != "rules"}
    assert Skill.of(older) == replace(skill, rules=())
