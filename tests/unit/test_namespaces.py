from dataclasses import dataclass

import pytest

from langgraph_fluxmem.errors import InvalidNamespaceError, UnresolvedNamespaceError
from langgraph_fluxmem.namespaces import NamespaceTemplate, check_namespace


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("acme", "string"),
        ((), "empty"),
        (("a", ""), "empty label"),
        (("a.b",), "dot"),
        (("a\x00",), "NUL"),
        (("a", ("b",)), "tuple"),
        ((1,), "int"),
        (None, "NoneType"),
        (("\ud800",), "surrogate"),
        (("langgraph", "x"), "reserved"),
    ],
)
def test_bad_namespaces_are_refused_and_the_message_says_why(bad, says):
    with pytest.raises(InvalidNamespaceError, match=says):
        check_namespace(bad)


def test_lists_are_taken():
    assert check_namespace(["a", "b"]) == ("a", "b")


@dataclass
class Context:
    user_id: str


@dataclass
class User:
    identity: str


def test_a_template_looks_in_context_then_configurable_then_user():
    template = NamespaceTemplate(("{user_id}", "memories"))
    assert template.resolve(Context("ada"), {"user_id": "bob"}, User("eve")) == ("ada", "memories")
    assert template.resolve({"user_id": "ada"}) == ("ada", "memories")
    assert template.resolve(None, {"user_id": "bob"}, User("eve")) == ("bob", "memories")
    assert template.resolve(None, {}, User("eve")) == ("eve", "memories")


@pytest.mark.parametrize("configurable", [{}, {"user_id": None}, {"user_id": True}, {"user_id": ["x"]}])
def test_a_missing_or_odd_value_raises(configurable):
    with pytest.raises(UnresolvedNamespaceError, match="user_id"):
        NamespaceTemplate(("{user_id}",)).resolve(None, configurable)


@pytest.mark.parametrize("value", ["", "a.b", "a\x00"])
def test_a_value_that_makes_an_invalid_label_raises(value):
    with pytest.raises(InvalidNamespaceError):
        NamespaceTemplate(("{user_id}",)).resolve({"user_id": value})


def test_a_value_cannot_become_two_labels():
    with pytest.raises(InvalidNamespaceError):
        NamespaceTemplate(("{user_id}", "x")).resolve({"user_id": "other.tenant"})
