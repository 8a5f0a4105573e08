import pickle

import pytest

from langgraph_fluxmem import Activation, Episode, Feedback, FeedbackError, InvalidContentError, Situation, Step


@pytest.mark.parametrize(
    "bad",
    [
        {"outcome": "success", "loss": 0.5},
        {"used": ("a",), "harmful": ("a",)},
        {"outcome": "perhaps"},
        {"progress": float("nan")},
        {"progress": 2.0},
        {"loss": -0.1},
        {"uesd": ("a",)},
    ],
)
def test_feedback_that_contradicts_itself_or_makes_no_sense_is_refused(bad):
    with pytest.raises(FeedbackError) as caught:
        Feedback(**bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda: Step(progress=float("inf")), lambda: Episode(task=3), lambda: Situation(), lambda: Step(loss=-1)])
def test_other_input_is_refused_in_one_line(make):
    with pytest.raises(InvalidContentError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_lists_are_taken_where_tuples_are_kept():
    assert Feedback(used=["a"]).used == ("a",)


def test_an_unbound_activation_says_how_to_bind_it():
    activation = Activation(id="a", memory="m", namespace=("n",), situation=Situation(task="t"))
    again = Activation.model_validate(activation.model_dump(mode="json"))
    assert again == activation
    with pytest.raises(RuntimeError, match=r"mem\.activation"):
        again.advise(["x"])


def test_what_is_made_without_validation_equals_what_is_made_with_it():
    assert Situation.of("where?") == Situation(task="where?")
    assert pickle.loads(pickle.dumps(Situation.of("where?"))) == Situation(task="where?")
    begun = Activation.begun(id="a", memory="m", namespace=("n",), situation=Situation.of("where?"))
    made = Activation(id="a", memory="m", namespace=("n",), situation=Situation(task="where?"))
    assert begun == made
    assert begun.model_dump_json() == made.model_dump_json()
    onward = begun.going_on(k=3, context="c", shift={"dense": 0.1})
    assert onward == made.model_copy(update={"k": 3, "context": "c", "shift": {"dense": 0.1}})
    assert pickle.loads(pickle.dumps(onward)) == onward == Activation.model_validate(onward.model_dump(mode="json"))
    assert (begun.k, begun.context) == (10, "")


def test_a_copy_of_an_activation_is_bound_as_it_is():
    bound = Activation.begun(id="a", memory="m", namespace=("n",), situation=Situation.of("where?")).bind(lambda _, actions: [])
    assert bound.going_on(k=3).advise(["go"]) == []
