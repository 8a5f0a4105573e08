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
