import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.learning import StepMemory, advise, evidence, recall_steps, record
from langgraph_fluxmem.learning.table import SAMPLE
from langgraph_fluxmem.schema import Episode, Step
from tests.learning.kitchen import ACTIONS, lit, lost, now


def vector(seed):
    made = np.random.default_rng(seed).normal(size=8) + 1.5
    return (made / np.linalg.norm(made)).astype(np.float32)


def rows_of(pool):
    """Ledger rows: (op, function on a memory)."""
    found = []
    for number, (episode, seed) in enumerate(pool):
        body = json.loads(json.dumps(record(episode)))
        taskvector = None if seed is None else vector(seed)
        op = 10 * number
        found.append((op, "episode", (f"e{number}", body, taskvector)))
        found += [(op, "evidence", (f"e{number}#{i}", channel, weight)) for i, channel, weight in evidence(episode)]
        found.append((op + 1, "evidence", (f"e{number}#0", "failure", 0.25)))
    return found


def apply(memory, row):
    op, what, args = row
    (memory.add_episode if what == "episode" else memory.add_evidence)(*args, op)


def says(memory):
    advice = advise(memory, now(), vector(1), ACTIONS)
    plain = [(a.score, a.value, a.risk, a.support, a.why.path) for a in advice]
    return plain, recall_steps(memory, now(), vector(1), 5), memory.counts()


pools = st.lists(st.tuples(st.sampled_from([lit(), lost()]), st.sampled_from([None, 1, 2, 3])), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(pools, st.data())
def test_any_order_and_any_withdrawal_equal_a_rebuild(pool, data):
    rows = rows_of(pool)
    memory = StepMemory()
    for index in data.draw(st.permutations(range(len(rows)))):
        apply(memory, rows[index])
    if data.draw(st.booleans()):
        says(memory)
    ops = sorted({row[0] for row in rows})
    gone = set(data.draw(st.lists(st.sampled_from(ops), unique=True)))
    for op in data.draw(st.permutations(sorted(gone))):
        memory.remove(op)
    fresh = StepMemory()
    for row in rows:
        if row[0] not in gone:
            apply(fresh, row)
    assert says(memory) == says(fresh)


def test_adding_an_episode_twice_changes_nothing():
    memory = StepMemory()
    body = record(lit())
    for _ in range(2):
        memory.add_episode("e", body, None, 1)
    for i, channel, weight in evidence(lit()):
        memory.add_evidence(f"e#{i}", channel, weight, 1)
    counts = memory.counts()
    memory.add_episode("e", body, None, 1)
    assert memory.counts() == counts
    memory.remove(1)
    assert memory.counts() == {}


def test_tasks_that_are_not_alike_share_nothing():
    memory = StepMemory()
    far = np.zeros(8, np.float32)
    far[0] = 1.0
    other = np.zeros(8, np.float32)
    other[1] = 1.0
    memory.add_episode("e", record(lit()), far, 1)
    for i, channel, weight in evidence(lit()):
        memory.add_evidence(f"e#{i}", channel, weight, 1)
    assert any(a.support > 0 for a in advise(memory, now(), far, ACTIONS))
    assert all(a.support == 0 for a in advise(memory, now(), other, ACTIONS))
    assert recall_steps(memory, now(), other, 5) == []


def test_sampling_keeps_shares_and_the_cost_of_a_tree_bounded():
    memory = StepMemory()
    count = 3 * SAMPLE
    steps = tuple(Step(observation="a lamp", action="kick lamp") for _ in range(count))
    memory.add_episode("e", record(Episode(task="t", steps=steps, outcome="failure")), None, 1)
    for i in range(count):
        memory.add_evidence(f"e#{i}", "progress" if i % 3 == 0 else "failure", 1.0, 1)
    (advice,) = advise(memory, now("look").model_copy(update={"observation": "a lamp"}), None, ["kick lamp"])
    assert abs(advice.value - 1 / 3) < 0.07


def test_a_new_task_leaves_what_was_grown_for_old_ones_as_a_rebuild_has_it():
    """The lens of a task is kept when other tasks join; what they touch is grown again."""
    pool = [(lit(), 1), (lost(), 2), (lit(), 3), (lost(), 1)]
    memory = StepMemory()
    for row in rows_of(pool[:2]):
        apply(memory, row)
    kept = memory.lens(vector(1)).number
    says(memory)
    for row in rows_of(pool):
        if row[0] >= 20:
            apply(memory, row)
    fresh = StepMemory()
    for row in rows_of(pool):
        apply(fresh, row)
    assert says(memory) == says(fresh)
    assert memory.lens(vector(1)).number == kept


def test_what_a_task_is_compared_with_is_of_one_moment(mem):
    """Another thread may follow the log while a recall goes on: it once found more tasks than it had compared."""
    learn = [Episode(task=f"open door {n}", steps=[Step(action="push")], outcome="success") for n in range(3)]
    mem.commit(learn[0], namespace=("n",))
    learned = mem.engine.learned(("n",))
    past = learned.past(np.ones(mem.engine.embedder.dims, np.float32))
    for episode in learn[1:]:
        mem.commit(episode, namespace=("n",))
    assert learned.followed(mem.engine.ledger) is learned
    assert (len(past.nodes), len(past.cosine), len(past.rows), past.places.tolist()) == (1, 1, 1, [0])
    again = learned.past(np.ones(mem.engine.embedder.dims, np.float32))
    assert (len(again.nodes), len(again.cosine), len(again.rows)) == (3, 3, 3)
