"""Signs of an instruction in a text: what text that is written to be obeyed says, what it names, and what it hides.

The patterns are English, as are the attacks that are known; what is written in another language is met by the other rules of the screen
(`screening`): whose words they are, and which hosts and actions they name. Sources: the attack classes of Greshake et al. 2023
(arXiv 2302.12173), AgentDojo (arXiv 2406.13352) and OWASP LLM01.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable
from functools import cache, lru_cache
from urllib.parse import unquote

from langgraph_fluxmem.text.folding import folded

_OVERRIDE = (
    r"(?:ignore|disregard|forget|override|bypass|discard|neglect|set aside)\W+(?:\w+\W+){0,6}?"
    r"(?:instructions?|rules?|prompts?|guidelines?|polic(?:y|ies)|directions?|constraints?|safety|context|everything (?:above|before)|above|previous|prior)"
)
_ROLES = (
    r"\byou are (?:now|no longer)\b|\bact as\b|\bpretend (?:to be|that)\b|\bdeveloper mode\b|\bjailbreak|\bsystem prompt\b|\bnew (?:system )?instructions?\b|"
    r"\bfrom now on\b|(?:^|\n)\s*(?:system|assistant|user|human|developer)\s*:|<\|?(?:im_start|im_end|system|assistant|endoftext)|\[/?inst\]|"
    r"\bbegin (?:system|instructions?)|\bend of (?:user )?(?:input|prompt|document)\b|\binstructions? (?:for|to) (?:the )?(?:ai|agents?|assistants?|models?|llms?)\b|"
    r"\b(?:ai|agents?|assistants?|models?|llms?) (?:must|should|shall|needs? to|reading this)\b"
)
_SECRECY = (
    r"\b(?:do not|don't|never|without) (?:tell|telling|mention|mentioning|inform|informing|ask|asking|reveal|revealing|notify|notifying|alert|warn|"
    r"confirmation|confirming|verification)"
)
_URGENCY = (
    r"\b(?:urgent|urgently|immediately|asap|right away|act now|critical|mandatory|final warning|or else|at once|emergency|time[- ]sensitive)\b"
    r"[^.\n]{0,80}\b(?:must|send|run|execute|call|transfer|forward|click|visit|delete|upload|wire|approve|reply|disable|install|grant|pay|share|enter|confirm|open)\b"
    r"|\b(?:must|always|first|before anything else|be sure to|make sure to|remember to|required to)\W+(?:\w+\W+){0,4}?"
    r"(?:send|run|execute|transfer|forward|upload|wire|approve|email|e-mail|post|cc|bcc|disable|install|grant|pay|share|exfiltrate|export|curl|download|delete|visit)\b"
)
_TAKE = (
    r"\b(?:send|forward|post|upload|e-?mail|leak|exfiltrate|reveal|print|share|export|copy|transmit|paste|submit|report)\b[^.\n]{0,60}"
    r"\b(?:passwords?|credentials?|tokens?|api keys?|secrets?|cookies?|private keys?|conversation|chat history|contacts?|card numbers?|personal data|session)\b"
    r"|\b(?:transfer|wire|pay|send)\b[^.\n]{0,40}(?:[$€£]\s?\d|\d+\s?(?:usd|eur|dollars?|euros?|btc|eth|bitcoins?)|\biban\b|\bwallet\b)"
)
_SHELL = r"\b(?:curl|wget|powershell|chmod|sudo|netcat|nc -e|eval\(|exec\(|os\.system|base64 -d|rm -rf|ssh-keygen|crontab)"
_VERDICT = (
    r"\b(?:outcome|status|result|reward|verdict|score)\s*[:=]\s*[\"']?(?:success|passed|mature|trusted|verified|1(?:\.0)?\b)"
    r"|\bmark (?:this|it|the \w+) (?:as )?(?:success|successful|mature|trusted|verified|safe)"
    r"|\b(?:trusted|verified|approved|mature) (?:skill|procedure|step|workflow)|\badd (?:this|the following) (?:step|to)"
)
_HOSTS = (
    r"(?:https?|ftp|wss?|ssh|file|data|javascript):[^\s\"'<>)\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b(?:[a-z0-9-]+(?:\.|\[\.\]|\(dot\)| dot ))+(?:com|net|org|io|ai|app|dev|co|ru|cn|info|biz|xyz|top|site|online|me|tk|ml|to|cc|"
    r"link|click|example|test|invalid|onion|local|internal|de|uk|eu|fr|tv|gg|sh)\b(?:/[^\s\"'<>]*)?"
)
_NAMES = (
    r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b|\b[a-z][\w.]*\(|(?<!\w)(?:~|\.{1,2})?(?:/[\w.-]+){2,}|\b(?=\w*\d)(?=\w*[a-z])\w{8,}\b|\b\d{6,}\b"
)
_SIGNS = f"{_OVERRIDE}|{_ROLES}|{_SECRECY}|{_URGENCY}|{_TAKE}|{_SHELL}|{_VERDICT}"
_CODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_SHORTEST = 12
"""Characters that decoded text must have to count."""


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when it is first looked for: that takes tens of milliseconds, and most who import the package screen nothing."""
    return re.compile(pattern)


@lru_cache(maxsize=8192)
def instructs(text: str) -> str:
    """What in `text` is said to be obeyed; empty where nothing is. Text that is written in code counts as what it says."""
    for version in (text, *decoded(text)):
        found = _compiled(_SIGNS).search(folded(version))
        if found is not None:
            return " ".join(found[0].split())
    return ""


def hosts(text: str) -> tuple[str, ...]:
    """Addresses that a text names, folded: URLs, domains, e-mail and IP addresses."""
    return tuple(dict.fromkeys(found.rstrip(".,;:!?") for found in _compiled(_HOSTS).findall(folded(text))))


def names(text: str) -> tuple[str, ...]:
    """What a text names as a machine would: identifiers, calls, paths, account numbers."""
    return tuple(dict.fromkeys(_compiled(_NAMES).findall(folded(text))))


@lru_cache(maxsize=8192)
def decoded(text: str) -> tuple[str, ...]:
    """What a text says in code: base64, hexadecimal, percent and HTML escapes, each once; and what was hidden in tag characters."""
    found: dict[str, None] = {}
    for part in _CODED.findall(text):
        for decode in (_base64, bytes.fromhex):
            plain = _printable(decode, part)
            if plain:
                found[plain] = None
    for plain in (unquote(text), html.unescape(text)):
        if plain != text:
            found[plain] = None
    hidden = "".join(chr(ord(char) - 0xE0000) for char in text if "\U000e0020" <= char <= "\U000e007e")
    if hidden:
        found[hidden] = None
    return tuple(found)


def _base64(part: str) -> bytes:
    plain = part.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _printable(decode: Callable[[str], bytes], part: str) -> str:
    try:
        plain = decode(part).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return plain if len(plain) >= _SHORTEST and plain.replace("\n", "").replace("\t", "").isprintable() else ""
