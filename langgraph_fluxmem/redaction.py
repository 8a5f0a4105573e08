"""Secrets are cut out of what is remembered and committed, before anything else sees it.

A pattern list rather than a detector by entropy: each entry is the published form of one kind of secret, so that what is cut is known and
ordinary text is left alone. Forms are those that the issuers document (AWS, GitHub, GitLab, Slack, Stripe, OpenAI, Anthropic, Google,
Hugging Face, npm, PyPI, SendGrid, Twilio, Telegram, Azure), JSON Web Tokens (RFC 7519), PEM and OpenSSH private keys (RFC 7468), passwords in
URLs (RFC 3986), bearer headers (RFC 6750), and values that are assigned to names such as ``api_key``. A password in plain words is none of
these, and stays. In the place of a secret stands ``[redacted: kind]``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from langgraph_fluxmem.schema import Episode

Redact = Literal["off", "secrets", "personal"]
"""What is cut: nothing; secrets; secrets and e-mail addresses."""

KINDS: Mapping[str, str] = {
    "private key": r"-----BEGIN (?:[A-Z0-9 ]+ )?PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END (?:[A-Z0-9 ]+ )?PRIVATE KEY(?: BLOCK)?-----|\Z)",
    "AWS key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    "GitLab token": r"\bgl(?:pat|dt|rt|ptt|cbt|soat|ft)-[\w-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    "Stripe key": r"\b(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,}\b",
    "Anthropic key": r"\bsk-ant-[\w-]{20,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-|admin-)?[\w-]{20,}",
    "Google key": r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-[\w-]{50,}",
    "SendGrid key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
    "Twilio key": r"\b(?:SK|AC)[0-9a-f]{32}\b",
    "Telegram token": r"\b\d{8,10}:AA[\w-]{32,}",
    "Azure key": r"(?<=AccountKey=)[A-Za-z0-9+/]{60,}={0,2}",
    "JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "password in a URL": r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)",
    "bearer token": r"(?i:(?<=\bbearer )|(?<=\bbasic ))(?=[\w.~+/-]*\d)[\w.~+/-]{16,}={0,2}",
    "assigned secret": (
        r"(?i:\b[\w-]{0,40}(?:api[_-]?key|secret[_-]?key|access[_-]?key|access[_-]?token|auth[_-]?token|refresh[_-]?token|client[_-]?secret|"
        r"private[_-]?key|encryption[_-]?key)[\"']?\s*(?:=|:|=>)\s*[\"']?)(?P<value>(?=[\w.~+/-]*\d)(?=[\w.~+/-]*[A-Za-z])[\w.~+/-]{16,}={0,2})"
    ),
}
"""Kind of secret -> its form; where a form has a group ``value``, that is cut."""
PERSONAL: Mapping[str, str] = {"e-mail": r"\b[\w.+%-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b"}
"""What is cut besides when asked for."""
_FORMS = [(kind, re.compile(form)) for kind, form in KINDS.items()]
_PERSONAL = [(kind, re.compile(form)) for kind, form in PERSONAL.items()]
_MAY = re.compile(
    r"-----BEGIN|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat|\bgl[a-z]{2,4}-|xox|xapp-|hooks\.slack|[sr]k_|whsec|sk-|AIza|ya29|GOCSPX|hf_|npm_|pypi-|"
    r"SG\.|SK[0-9a-f]{4}|AC[0-9a-f]{4}|:AA|AccountKey|eyJ|://[^\s/]*@|(?i:bearer |basic |[_-]?key|token|secret)"
)
"""What a text with a secret has; quicker to look for."""


class Redacted(NamedTuple):
    """A value without its secrets, and how many of each kind were cut."""

    value: Any
    found: Counter[str]


def redacted(value: Any, what: Redact = "secrets") -> Redacted:
    """`value` (a text, or JSON of texts, keys left alone) without secrets. The value itself where there is nothing to cut."""
    found: Counter[str] = Counter()
    if what == "off":
        return Redacted(value, found)
    return Redacted(_cut(value, found, personal=what == "personal"), found)


def without_secrets(episode: Episode, what: Redact) -> tuple[Episode, Counter[str]]:
    """An episode without secrets in what was asked, seen, done and said, and how many of each kind were cut."""
    parts = {"task": episode.task, "metadata": episode.metadata}
    steps = [{field: getattr(step, field) for field in ("observation", "action", "result", "notes", "actions")} for step in episode.steps]
    (cut, cut_steps), found = redacted((parts, steps), what)
    if not found:
        return episode, found
    return episode.model_copy(
        update={**cut, "steps": tuple(step.model_copy(update=new) for step, new in zip(episode.steps, cut_steps, strict=True))}
    ), found


def _cut(value: Any, found: Counter[str], *, personal: bool) -> Any:
    if isinstance(value, str):
        text, kinds = _text(value, personal)
        found.update(kinds)
        return text
    if isinstance(value, Mapping):
        cut: dict[Any, Any] = {key: _cut(inner, found, personal=personal) for key, inner in value.items()}
        return cut if any(cut[key] is not inner for key, inner in value.items()) else value
    if isinstance(value, (list, tuple)):
        items = [_cut(inner, found, personal=personal) for inner in value]
        return type(value)(items) if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _text(text: str, personal: bool) -> tuple[str, tuple[str, ...]]:
    forms = [*(_FORMS if _MAY.search(text) else ()), *(_PERSONAL if personal and "@" in text else ())]
    kinds: list[str] = []
    for kind, form in forms:
        text, times = form.subn(lambda match, kind=kind: _in_place(match, kind), text)
        kinds += [kind] * times
    return text, tuple(kinds)


def _in_place(match: re.Match[str], kind: str) -> str:
    whole = match[0]
    value = match.groupdict().get("value")
    return f"[redacted: {kind}]" if value is None else f"{whole[: -len(value)]}[redacted: {kind}]"
