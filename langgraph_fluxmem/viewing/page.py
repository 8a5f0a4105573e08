"""The page: one bundled script, one style, no inline code, nothing from the network; or all of it in one file, for a report.

The script is d3's zoom and quadtree (vendored under ISC, see ``assets/d3/LICENSE``) and this package's own files, in this order.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

SCRIPTS = ("d3/d3.min.js", "state.js", "canvas.js", "panel.js", "timeline.js", "app.js")
_ASSETS = files("langgraph_fluxmem.viewing") / "assets"
_COMMON = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
POLICY = f"{_COMMON}; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"
"""Content security policy of what the server sends."""


@functools.cache
def script() -> str:
    """The bundle."""
    return "\n".join(_read(name) for name in SCRIPTS)


@functools.cache
def style() -> str:
    return _read("style.css")


@functools.cache
def page() -> str:
    """The page as the server sends it; it asks for its data."""
    head = '<link rel="stylesheet" href="/style.css"><script defer src="/app.js"></script>'
    return _read("page.html").replace("<!-- head -->", head).replace("<!-- data -->", "")


def whole(data: dict[str, Any]) -> str:
    """The page with its data in one file: it opens without a server, and its policy lets nothing else run or load."""
    code, look = script(), style()
    policy = f"{_COMMON}; script-src '{_hash(code)}'; style-src '{_hash(look)}'"
    head = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}"><style>{look}</style>'
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    body = f'<script type="application/json" id="data">{told}</script><script>{code}</script>'
    return _read("page.html").replace("<!-- head -->", head).replace("<!-- data -->", body)


def _read(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
