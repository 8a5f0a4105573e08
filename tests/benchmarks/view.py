"""How soon the viewer shows a memory and how smoothly it pans, in headless Chromium without a GPU:
python -m tests.benchmarks.view [--things 5000] [--screens DIR] [--json FILE].

A made-up memory of a support desk with so many facts, episodes, skills and judged recalls. `picture_ms` is what the server computes once, the
layout most of it; `picture_cpu_ms` of it is work, the rest waiting for a core. `first_paint_ms` and `drawn_ms` count from the page's request: until
the first content, and until every node is on the canvas; `cold_s` from starting the server to that. Frames are the intervals between animation
frames while the mouse drags the whole graph about and the wheel zooms; `draw_ms` is what a drawing took, `task_ms_max` the longest the page was
busy without a break meanwhile (0: never 50 ms). `slider_ms` is one move of the time slider over the whole memory.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from langgraph_fluxmem import Episode, Feedback, FluxMem, Step
from langgraph_fluxmem.viewing import ViewServer
from langgraph_fluxmem.viewing.picture import picture
from tests.view.browser import Browser, chromium

HERE = ("acme", "support")
THEMES = {
    "billing": "invoice receipt surcharge discount voucher instalment ledger refund card bank",
    "shipping": "parcel courier depot customs pallet label route delivery van tracking",
    "accounts": "password login username mailbox profile permission role session token sign-up",
    "hardware": "laptop charger monitor keyboard dock battery screen hinge fan cable",
    "network": "router firewall proxy gateway switch wifi latency port tunnel address",
    "travel": "flight hotel visa itinerary luggage airport train seat booking passport",
    "meetings": "agenda calendar room minutes invitation projector speaker schedule guest recording",
    "contracts": "clause signature renewal notice annex vendor penalty term deposit lawyer",
    "hiring": "candidate interview offer reference salary probation advert panel degree start-date",
    "kitchen": "coffee milk fridge dishwasher lunch menu allergy cup kettle bakery",
    "office": "desk badge window heating lamp plant carpet lift printer key",
    "reports": "chart quarter forecast target revenue churn dashboard table export deadline",
}
PEOPLE = "Ada Bob Carol Dan Eve Frank Grace Heidi Ivan Judy Mallory Niaj Olivia Peggy Rupert Sybil Trent Victor Walter".split()
VERBS = "asked about,replaced,reported,approved,lost,found,moved,cancelled,checked,ordered,paid for,sent back".split(",")
WHYS = (
    "it was late,it was new,nobody had said so,the old one broke,it costs less,the customer insisted,the rules changed,it was urgent".split(
        ","
    )
)
TASKS = ("refund", "replace", "book", "reset", "file")


def fact(dice: random.Random) -> tuple[str, str]:
    """(theme, text)."""
    theme = dice.choice(list(THEMES))
    first, second = dice.sample(THEMES[theme].split(), 2)
    return (
        theme,
        f"{dice.choice(PEOPLE)} {dice.choice(VERBS)} the {first} with the {second} on day {dice.randint(1, 90)}, since {dice.choice(WHYS)}.",
    )


def build(mem: FluxMem, things: int) -> None:
    """A memory of about so many nodes, most of them facts; the same for the same number."""
    dice = random.Random(11)
    facts = [fact(dice) for _ in range(int(things * 0.8))]
    episodes = things - len(facts) - len(TASKS) - things // 100
    by_theme: dict[str, list[str]] = {theme: [] for theme in THEMES}
    size = max(20, len(facts) // 40)
    given = 0
    for start in range(0, len(facts), size):
        part = facts[start : start + size]
        for (theme, _), id_ in zip(
            part, mem.remember([text for _, text in part], namespace=HERE, source=f"desk notes {start // size + 1}"), strict=True
        ):
            by_theme[theme].append(id_)
        until = episodes * (start + size) // len(facts)
        while given < min(until, episodes):
            _episode(mem, dice, given, by_theme)
            given += 1
            if given % max(1, episodes // (things // 100)) == 0:
                theme = dice.choice(list(THEMES))
                activation = mem.recall(f"who {dice.choice(VERBS)} the {dice.choice(THEMES[theme].split())}?", namespace=HERE, k=6)
                learned = mem.learn(activation, Feedback(outcome="success", used=[one.id for one in activation.facts[-2:]]))
                if dice.random() < 0.15:
                    mem.undo(learned.operation)
            if given in (episodes // 3, 2 * episodes // 3, episodes):
                mem.consolidate(namespace=HERE)


def _episode(mem: FluxMem, dice: random.Random, number: int, by_theme: dict[str, list[str]]) -> None:
    verb = TASKS[number % len(TASKS)]
    theme = list(THEMES)[TASKS.index(verb) * 2 + (number // 7) % 2]
    thing = dice.choice(THEMES[theme].split())
    used = tuple(dice.sample(by_theme[theme], min(len(by_theme[theme]), dice.randint(1, 3))))
    good = dice.random() < 0.8
    steps = (
        Step(observation="the desk", action=f"open {thing} {number}", progress=0.5),
        Step(observation=f"{thing} {number}", action=f"{verb} {thing} {number}", used=used, progress=0.5 if good else 0.0),
    )
    mem.commit(
        Episode(id=f"t{number}", task=f"{verb} request {number}: {thing}", steps=steps, outcome="success" if good else "failure"),
        namespace=HERE,
    )


RECORD = """(() => { const drawn = []; const d = fluxmem.drawing, draw = d.draw.bind(d); d.draw = () => { draw(); drawn.push(d.cost); };
  window.recorded = { frames: [], drawn, tasks: [0], on: true };
  new PerformanceObserver((list) => list.getEntries().forEach((one) => window.recorded.tasks.push(one.duration))).observe({ type: "longtask" }); let last = 0;
  const tick = (now) => { if (last) window.recorded.frames.push(now - last); last = now; if (window.recorded.on) requestAnimationFrame(tick); }; requestAnimationFrame(tick); })()"""


def measure(things: int, screens: Path | None = None) -> dict[str, Any]:
    """One memory, one browser."""
    with tempfile.TemporaryDirectory() as folder, FluxMem.open(Path(folder) / "m", chroma="off") as mem:
        build(mem, things)
        mem.topics(namespace=HERE)
        begin, worked = time.perf_counter(), time.process_time()
        drawn = picture(mem, HERE)
        row: dict[str, Any] = {
            "things": len(drawn["nodes"]["id"]),
            "links": len(drawn["edges"]["from"]),
            "operations": len(drawn["operations"]["id"]),
        }
        row |= {"picture_ms": 1e3 * (time.perf_counter() - begin), "picture_cpu_ms": 1e3 * (time.process_time() - worked)}
        with Browser() as browser:
            begin = time.perf_counter()
            with ViewServer(mem, HERE) as server:
                browser.open(server.url)
                browser.until("performance.getEntriesByName('drawn').length")
                row["cold_s"] = time.perf_counter() - begin
                browser.open("about:blank", "")
                browser.open(server.url)
                browser.until("performance.getEntriesByName('drawn').length")
                painted = "performance.getEntriesByName('first-contentful-paint')"
                browser.until(f"{painted}.length")
                row["first_paint_ms"] = browser.run(f"{painted}[0].startTime")
                row["drawn_ms"] = browser.run("performance.getEntriesByName('drawn')[0].startTime")
                row |= _panned(browser)
                row["slider_ms"] = statistics.median(
                    browser.run(
                        f"(() => {{ const b = performance.now(); fluxmem.timeline.set(Math.floor(fluxmem.timeline.last * {at} / 10)); fluxmem.drawing.draw(); return performance.now() - b; }})()"
                    )
                    for at in (2, 9, 4, 7, 1, 10)
                )
                row["search_ms"] = browser.run(
                    "(() => { const b = performance.now(); fluxmem.memory.search('invoice refund'); return performance.now() - b; })()"
                )
                if screens is not None:
                    _pictures(browser, server, screens)
    return row


def _panned(browser: Browser) -> dict[str, float]:
    browser.run(RECORD)
    x, y = 560.0, 420.0
    browser.mouse("mouseMoved", x, y)
    browser.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    for at in range(120):
        browser.mouse("mouseMoved", x + 3 * (at if at < 60 else 120 - at), y + (at % 40), button="left", buttons=1)
    browser.mouse("mouseReleased", x, y, button="left", clickCount=1)
    for at in range(40):
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-40 if at < 20 else 40)
    found = browser.run("(() => { window.recorded.on = false; return window.recorded; })()")
    frames, drawn = sorted(found["frames"]), sorted(found["drawn"])
    assert len(frames) > 20
    assert drawn
    return {
        "frames": len(frames),
        "frame_ms_p50": statistics.median(frames),
        "frame_ms_p95": frames[int(0.95 * len(frames))],
        "frame_ms_max": frames[-1],
        "task_ms_max": max(found["tasks"]),
        "draw_ms_p50": statistics.median(drawn),
        "draw_ms_p95": drawn[int(0.95 * (len(drawn) - 1))],
    }


def _pictures(browser: Browser, server: ViewServer, to: Path) -> None:
    """The page as the documents show it, light and dark."""
    to.mkdir(parents=True, exist_ok=True)
    wait = "new Promise((done) => setTimeout(done, 1100))"
    for theme in ("light", "dark"):
        browser.open("about:blank", "")
        browser.open(server.url.replace("/#", f"/?theme={theme}#"))
        browser.run(wait)
        browser.picture(to / f"view-{theme}.png")
        browser.key("r")
        browser.type("refund request 99: voucher")
        browser.key("Enter")
        browser.until("document.querySelector('.callout')")
        browser.run(
            "(() => { const one = [...document.querySelectorAll('#panel details')].find((d) => d.textContent.includes('past task'));"
            " if (one) { one.open = true; one.parentElement.scrollIntoView(); document.getElementById('panel').scrollTop -= 40; } })()"
        )
        browser.run(wait)
        browser.picture(to / f"view-recall-{theme}.png")
        browser.key("Escape")
        browser.key("l")
        browser.run("fluxmem.timeline.set(Math.floor(fluxmem.timeline.last * 0.6))")
        browser.run(wait)
        browser.picture(to / f"view-layers-{theme}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--things", default="5000", help="sizes, separated by commas")
    parser.add_argument("--screens", type=Path, help="a folder for pictures of the page")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if chromium() is None:
        raise SystemExit("this benchmark drives a browser: apt-get install chromium")
    rows = [measure(int(size), given.screens) for size in given.things.split(",")]
    for name in rows[0]:
        print(f"{name:16}" + "".join(f"{row[name]:12.1f}" for row in rows))
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
