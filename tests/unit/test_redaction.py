"""Secrets are cut out on the way in; ordinary text is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step
from langgraph_fluxmem.redaction import KINDS, redacted

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nbase64base64\n-----END RSA PRIVATE KEY-----"
# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "private key": PEM,
    "AWS key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub token": "gh" + "p_" + "a1B2" * 9,
    "GitLab token": "gl" + "pat-" + "x1Y2z3A4b5C6d7E8f9G0",
    "Slack token": "xo" + "xb-123456789012-abcdefABCDEF",
    "Stripe key": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Anthropic key": "sk-" + "ant-api03-" + "Ab1" * 12,
    "OpenAI key": "sk-" + "proj-" + "Ab1" * 12,
    "Google key": "AI" + "zaSy" + "A1b2C3d4" * 4 + "E",
    "Hugging Face token": "hf" + "_" + "aB" * 17,
    "npm token": "npm" + "_" + "a1B2" * 9,
    "PyPI token": "pypi" + "-" + "AgEI" * 15,
    "SendGrid key": "SG" + ".abcdefghijklmnopqrstuv." + "Ab1" * 12,
    "Twilio key": "SK" + "0123456789abcdef" * 2,
    "Telegram token": "123456789:" + "AA" + "Ab1" * 11,
    "JSON web token": "ey" + "JhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
}
IN_PLACE = {
    "Azure key": ("AccountKey=" + "Ab1+" * 16 + "==;", "AccountKey=[redacted: Azure key];"),
    "password in a URL": ("postgres://ada:hunter2@db:5432/x", "postgres://[redacted: password in a URL]@db:5432/x"),
    "bearer token": ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer [redacted: bearer token]"),
    "assigned secret": ('MY_API_KEY = "a1b2c3d4e5f6g7h8i9"', 'MY_API_KEY = "[redacted: assigned secret]"'),
}
HARMLESS = [
    "the password is x7 and the username is Ann",
    "Enter the username Ann and the password zz and press login.",
    "task-force sk-learn ski-resort key: value token: none secret santa",
    "see https://example.com/a/b?c=d and ada@example.com",
    "a basic understanding, the bearer of this letter",
    "commit 8974ac8d1f2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b",
    "uuid 7f0f2c0e-6f0a-5d0e-9a53-1f3c0f1f7a14",
    "api_key=None, secret_key = os.environ",
    "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
]


def test_every_kind_is_tried():
    assert {*SECRETS, *IN_PLACE} == {*KINDS}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_cut_and_what_is_around_it_stays(kind: str):
    value, found = redacted(f"use {SECRETS[kind]} for it")
    assert value == f"use [redacted: {kind}] for it"
    assert found == {kind: 1}


@pytest.mark.parametrize("kind", IN_PLACE)
def test_only_the_value_is_cut(kind: str):
    text, cut = IN_PLACE[kind]
    assert redacted(text).value == cut


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_left_as_it_is(text: str):
    assert redacted(text) == (text, {})


def test_what_was_cut_is_not_cut_again():
    for text in (*SECRETS.values(), *(text for text, _ in IN_PLACE.values())):
        once = redacted(text).value
        assert redacted(once) == (once, {})


def test_an_e_mail_address_is_cut_when_asked_for():
    assert redacted("write to ada@example.com", "personal").value == "write to [redacted: e-mail]"


def test_the_switch():
    assert redacted(SECRETS["AWS key"], "off") == (SECRETS["AWS key"], {})


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
    )
)
def test_other_values_come_back_as_they_are(value: Any):
    assert redacted(value).value is value


def stored(mem: FluxMem, path: Path) -> bytes:
    mem.close()
    return b"".join(found.read_bytes() for found in path.rglob("*") if found.is_file())


def test_no_secret_reaches_the_files(tmp_path: Path):
    mem = FluxMem.open(tmp_path / "m")
    key, token, aws = SECRETS["OpenAI key"], SECRETS["GitHub token"], SECRETS["AWS key"]
    told: list[dict[str, Any]] = []
    mem.remember([Document(f"the key is {key}", metadata={"note": token, "speaker": aws}), f"and {aws}"], progress=told.append)
    step = Step(observation={"env": f"KEY={key}"}, action={"name": "login", "args": {"token": token}}, result=aws, notes=(key,))
    episode = Episode(task=f"log in with {token}", steps=(step,), outcome="success", id="e1", metadata={"who": key})
    mem.commit(episode)
    mem.learn(mem.recall(f"what is {aws}"), Feedback(outcome="success", detail=token))
    mem.learn("e1", Feedback(outcome="success", detail=f"it was {key}"))
    assert told[-1]["redacted"] == 4
    assert mem.redacted == {"OpenAI key": 5, "GitHub token": 4, "AWS key": 4}
    assert mem.recall("the key").facts[0].content == "the key is [redacted: OpenAI key]"
    data = stored(mem, tmp_path)
    for secret in (key, token, aws):
        assert secret.encode() not in data


def test_a_store_keeps_what_was_put(mem: FluxMem):
    mem.store.put(("a",), "k", {"key": SECRETS["AWS key"]})
    item = mem.store.get(("a",), "k")
    assert item is not None
    assert item.value == {"key": SECRETS["AWS key"]}


def test_redaction_can_be_turned_off(tmp_path: Path):
    with FluxMem.open(tmp_path / "m", chroma="off", redact="off") as mem:
        mem.remember(SECRETS["AWS key"])
        assert mem.recall("key").facts[0].content == SECRETS["AWS key"]
