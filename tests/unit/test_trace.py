import json

from hypothesis import given
from hypothesis import strategies as st

from langgraph_fluxmem.schema import Step
from langgraph_fluxmem.trace import appended, steps_of

texts = st.text(max_size=5)
actions = st.one_of(texts, st.dictionaries(texts, st.one_of(texts, st.integers(), st.none()), max_size=2))
steps = st.builds(
    Step,
    observation=st.one_of(texts, st.dictionaries(texts, st.one_of(texts, st.integers(), st.lists(texts, max_size=2)), max_size=3)),
    action=st.one_of(st.none(), actions),
    result=texts,
    progress=st.floats(-1, 1),
    notes=st.lists(texts, max_size=2).map(tuple),
    actions=st.lists(actions, max_size=3).map(tuple),
)


@given(st.lists(steps, max_size=5))
def test_a_trace_gives_back_its_steps_after_a_trip_through_json(given_steps):
    trace = {}
    for step in given_steps:
        before = json.dumps(trace)
        longer = appended(trace, step)
        assert json.dumps(trace) == before, "the old trace is left as it was"
        trace = json.loads(json.dumps(longer))
    assert steps_of(trace) == given_steps


def test_what_does_not_change_is_kept_once():
    scene, commands = "a long description of a kitchen " * 20, tuple(f"take thing {i}" for i in range(30))
    trace, plain = {}, []
    for i in range(50):
        step = Step(observation=scene, action=commands[i % 30], actions=commands)
        trace = appended(trace, step)
        plain.append(step.model_dump(mode="json"))
    assert len(json.dumps(trace)) * 6 < len(json.dumps(plain))
