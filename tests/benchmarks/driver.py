"""MiniWoB++ pages in one headless Chromium: about 15 ms a step, DOM + done + reward in one round trip.

Needs: pip install miniwob selenium; Debian packages chromium and chromium-driver. The `miniwob` package supplies the task pages and
the parsers that turn an instruction into fields ("username" -> "ada"). The ten-second timer of the pages is switched off.

    env = MiniWoB()
    obs = env.reset("login-user", "dev-1")     # {"done", "r", "utt", "fields", "els", "sel"}
    obs = env.step(("TYPE", ref, "ada"))       # or ("CLICK", ref), ("SELECT", ref, option text)
    success = obs["done"] and obs["r"] >= 1
"""

from __future__ import annotations

import logging
import pathlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

logging.getLogger("selenium").setLevel(logging.ERROR)
TEXT_INPUTS = {
    "input_text",
    "input_password",
    "textarea",
    "input_number",
    "input_date",
    "input_time",
    "input_tel",
    "input_email",
    "input_search",
}
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=500,500",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--allow-file-access-from-files",
]
STATE_JS = r"""
function opts(){var o=[];document.querySelectorAll('#area select, #wrap select').forEach(function(s){
  if(s.dataset.wob_ref===undefined) return; var L=[];for(var i=0;i<s.options.length;i++)L.push(s.options[i].text);
  o.push([+s.dataset.wob_ref,L,s.options[s.selectedIndex]?s.options[s.selectedIndex].text:'']);});return o;}
if(WOB_DONE_GLOBAL) return {done:true, r:WOB_RAW_REWARD_GLOBAL};
var u=core.getUtterance(); var d=core.getDOMInfo();
return {done:false, r:WOB_RAW_REWARD_GLOBAL, utt:u, dom:d, sel:opts()};
"""


Page = dict[str, Any]


def _texts(node: Mapping[str, Any]) -> Iterator[str]:
    if node.get("text"):
        yield node["text"].strip()
    for child in node["children"]:
        yield from _texts(child)


class MiniWoB:
    """One browser; see the module.

    Raises:
        ImportError: the packages are missing.
    """

    def __init__(self) -> None:
        try:
            import miniwob
            from miniwob.fields import FIELD_EXTRACTORS
            from selenium import webdriver
            from selenium.webdriver.chrome.service import Service
        except ImportError as error:
            raise ImportError(
                "MiniWoB++ pages need two packages and a browser: pip install miniwob selenium; apt-get install chromium chromium-driver"
            ) from error
        self._html = pathlib.Path(miniwob.__file__).parent / "html" / "miniwob"
        self._extractors = FIELD_EXTRACTORS
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS:
            options.add_argument(flag)
        self.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.browser.set_script_timeout(10)
        self.family, self.episodes_on_page = "", 0

    def _load(self, family: str) -> None:
        for attempt in range(5):
            try:
                self.browser.get(f"file://{self._html}/{family}.html")
                self.browser.execute_script("core.EPISODE_MAX_TIME=1000000000;")
                break
            except Exception:
                if attempt == 4:
                    raise
                time.sleep(0.5)
        self.family, self.episodes_on_page = family, 0

    def reset(self, family: str, seed: object) -> Page:
        if family != self.family or self.episodes_on_page > 60:
            self._load(family)
        self.episodes_on_page += 1
        state = self.browser.execute_script(
            "try{core.endEpisode(0);}catch(e){} Math.seedrandom(arguments[0]); core.startEpisodeReal();" + STATE_JS, f"s{seed}"
        )
        return self._observe(state, first=True)

    def step(self, action: Sequence[Any]) -> Page:
        from selenium.common.exceptions import JavascriptException

        try:
            return self._step(action)
        except JavascriptException as error:
            raise LookupError(f"the page has no element {action[1]}: {error.msg}") from error

    def _step(self, action: Sequence[Any]) -> Page:
        kind, ref = action[0], action[1]
        if kind == "CLICK":
            state = self.browser.execute_script("core.elementClick(arguments[0]);" + STATE_JS, ref)
        elif kind == "TYPE":
            self.browser.execute_script("var e=core.previousDOMInfo[arguments[0]];e.focus();if(e.select)e.select();", ref)
            self.browser.execute_cdp_cmd("Input.insertText", {"text": action[2]})
            state = self.browser.execute_script(STATE_JS)
        else:
            state = self.browser.execute_script(
                "var e=core.previousDOMInfo[arguments[0]];for(var i=0;i<e.options.length;i++)"
                "if(e.options[i].text==arguments[1]){e.selectedIndex=i;}e.dispatchEvent(new Event('change',{bubbles:true}));" + STATE_JS,
                ref,
                action[2],
            )
        return self._observe(state)

    def close(self) -> None:
        self.browser.quit()

    def _observe(self, state: Mapping[str, Any], *, first: bool = False) -> Page:
        if state["done"]:
            return {"done": True, "r": state["r"] or 0}
        if first:
            utterance = state["utt"]["utterance"] if isinstance(state["utt"], dict) else state["utt"]
            self.utterance = re.sub(r"\s+", " ", utterance).strip()
            try:
                fields = list(self._extractors[self.family](utterance))
            except Exception:  # a page whose parser does not know this wording has no fields
                fields = []
            self.fields = [(str(k), str(v)) for k, v in fields if str(v).strip()]
        elements = []
        self._walk(state["dom"], None, elements)
        seen = {}
        for element in elements:
            element["ord"] = seen.get(element["tag"], 0)
            seen[element["tag"]] = element["ord"] + 1
        return {"done": False, "r": state["r"] or 0, "utt": self.utterance, "fields": self.fields, "els": elements, "sel": state["sel"]}

    def _walk(self, node: Mapping[str, Any], parent: Mapping[str, Any] | None, elements: list[Page]) -> None:
        tag, children = node["tag"].lower(), node["children"]
        if tag in ("script", "style"):
            return
        actionable = not children or tag in ("button", "a", "li", "select") or tag in TEXT_INPUTS
        if node["ref"] > 0 and actionable:
            text = (node.get("text") or "").strip()
            if not text and children:
                text = " ".join(_texts(node))[:80]
            if tag.startswith("input") and parent is not None and tag not in TEXT_INPUTS:
                if node.get("value") and tag in ("input_button", "input_submit"):
                    text = str(node["value"])
                else:
                    text = " ".join(_texts(parent))[:80]
            classes = node["classes"] if isinstance(node["classes"], str) else ""
            elements.append(
                dict(
                    ref=node["ref"],
                    tag=tag,
                    text=text,
                    id=str(node.get("id") or ""),
                    cls=classes,
                    val=node.get("value"),
                    x=node["left"],
                    y=node["top"],
                )
            )
            if tag != "li":
                return
        for child in children:
            self._walk(child, node, elements)
