"""The page in a real headless Chromium: it loads, the slider moves, search and recall light nodes, keys work, stored text never runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.viewing import ViewServer, export_view

from .browser import Browser, chromium
from .memories import ADA, HOSTILE, MARK, fill, fill_neighbour

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here: apt-get install chromium")
SHOWN = "[...fluxmem.memory.there].reduce((sum, one) => sum + one, 0)"


@pytest.fixture(scope="module")
def mem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FluxMem]:
    with FluxMem.open(tmp_path_factory.mktemp("view") / "memory", chroma="off") as opened:
        fill(opened)
        fill_neighbour(opened)
        yield opened


@pytest.fixture(scope="module")
def server(mem: FluxMem) -> Iterator[ViewServer]:
    with ViewServer(mem, ADA) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: ViewServer) -> Iterator[Browser]:
    """The page, fresh; at the end nothing of it has failed, and nothing stored has run."""
    browser.problems.clear()
    browser.requests.clear()
    browser.open("about:blank", "")
    browser.open(server.url)
    yield browser
    assert browser.problems == []
    assert browser.run("typeof window.hacked") == "undefined"
    assert {url.split("/")[2] for url in browser.requests if url.startswith("http")} == {f"127.0.0.1:{server.port}"}


def panel(page: Browser) -> str:
    return str(page.run("document.getElementById('panel').innerText"))


def test_it_loads_and_takes_the_token_out_of_the_address(page: Browser, server: ViewServer) -> None:
    assert page.run("location.href") == f"http://127.0.0.1:{server.port}/"
    assert page.run(SHOWN) == len([row for row in server._server.viewer.graph()["nodes"]["on"] if len(row) % 2])
    assert "acme.ada" in page.run("document.title")
    assert "Skills, with PEMS over time" in panel(page)
    page.until("fluxmem.drawing.sx")
    assert (
        page.run(
            "(() => { const c = document.getElementById('map'), p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, s = new Set(); for (let i = 0; i < p.length; i += 4) s.add(p[i] << 16 | p[i+1] << 8 | p[i+2]); return s.size; })()"
        )
        > 20
    )
    page.open(f"http://127.0.0.1:{server.port}/")  # once taken, the token stays with this tab
    assert page.run(SHOWN) > 0


def test_without_the_token_it_says_so(page: Browser, server: ViewServer) -> None:
    page.run("sessionStorage.clear()")
    page.open(f"http://127.0.0.1:{server.port}/", "document.getElementById('note').textContent.includes('token')")
    assert any("401" in problem for problem in page.problems)
    page.problems.clear()


def test_the_slider_moves_through_the_log(page: Browser) -> None:
    last = int(page.run("fluxmem.timeline.last"))
    seen = []
    for value in (0, 1, last // 2, last):
        page.run(f"(() => {{ const s = document.getElementById('slider'); s.value = {value}; s.dispatchEvent(new Event('input')); }})()")
        seen.append(page.run(SHOWN))
    assert seen[0] == 0 < seen[1] < seen[2] < seen[3]
    assert "now:" in page.run("document.getElementById('moment').innerText")
    page.key("[")
    assert page.run("fluxmem.timeline.value") == last - 1
    page.key("]")
    assert page.run("fluxmem.timeline.value") == last
    page.key(" ")  # from the beginning, as it stood at the end
    page.until("fluxmem.timeline.value > 2 && fluxmem.timeline.value < fluxmem.timeline.last")
    page.key(" ")
    assert not page.run("Boolean(fluxmem.timeline.timer)")


def test_search_lights_nodes(page: Browser) -> None:
    page.key("/")
    assert page.run("document.activeElement.id") == "q"
    page.type("carol SEAT")
    lit = page.run("fluxmem.lit().map((node) => fluxmem.memory.nodes.title[node])")
    assert lit == ["Carol asked about the seat on day 3."]
    page.key("Enter")
    page.until("document.getElementById('panel').innerText.includes('What happened to it')")
    assert page.run("fluxmem.memory.nodes.title[fluxmem.drawing.selected]") == lit[0]
    page.key("Escape")
    assert page.run("[fluxmem.lit().length, fluxmem.drawing.selected, document.getElementById('q').value]") == [0, -1, ""]
    page.key("/")
    page.type("nothing like this")
    assert "Nothing here has" in panel(page)


def test_recall_lights_what_comes_and_says_why(page: Browser) -> None:
    page.key("r")
    page.type("refund order 44")
    page.key("Enter")
    page.until("document.querySelector('.callout')")
    lit = set(page.run("fluxmem.lit().map((node) => fluxmem.memory.nodes.title[node])"))
    assert any("refund" in title for title in lit)
    assert page.run("fluxmem.drawing.paths.size") > 0
    told = panel(page)
    assert all(title in told for title in ("Skills", "Facts", "Steps", "Episodes"))
    page.run("document.querySelector('#panel details').open = true")
    assert "its tasks are like this one" in panel(page)
    page.key("n")
    page.until("fluxmem.drawing.selected >= 0")
    assert page.run("fluxmem.drawing.selected") in page.run("fluxmem.lit().concat([fluxmem.drawing.selected])")


def test_a_recall_in_the_past_is_of_the_past(page: Browser) -> None:
    page.run("fluxmem.timeline.set(1)")  # the facts, and nothing learned
    page.key("r")
    page.type("refund order 44")
    page.key("Enter")
    page.until("document.querySelector('.callout')")
    told = panel(page)
    assert "recall as of #" in told
    assert "Learning changed nothing" in told
    assert "Episodes" not in told
    assert page.run("fluxmem.timeline.value") == 1


def test_a_click_opens_a_node(page: Browser) -> None:
    node = int(page.run("fluxmem.memory.nodes.layer.indexOf(3)"))
    x, y = page.run(
        f"(() => {{ const b = document.getElementById('map').getBoundingClientRect(), d = fluxmem.drawing; return [b.left + d.xs[{node}] * d.transform.k + d.transform.x, b.top + d.ys[{node}] * d.transform.k + d.transform.y]; }})()"
    )
    page.click(x, y)
    page.until("document.getElementById('panel').innerText.includes('PEMS by round')")
    assert page.run("fluxmem.drawing.selected") >= 0


def test_keys_move_zoom_and_change_how_it_looks(page: Browser) -> None:
    before = page.run("[fluxmem.drawing.transform.x, fluxmem.drawing.transform.k]")
    page.key("ArrowRight")
    page.key("+")
    after = page.run("[fluxmem.drawing.transform.x, fluxmem.drawing.transform.k]")
    assert after[0] != before[0]
    assert after[1] > before[1]
    theme = page.run("document.documentElement.dataset.theme")
    page.key("d")
    assert page.run("document.documentElement.dataset.theme") != theme
    page.key("l")
    page.until("fluxmem.drawing.layered && Math.abs(fluxmem.drawing.ys[0] - fluxmem.drawing.bands[0][1]) < 0.01")
    layers = page.run(
        "(() => { const of = (l) => [...fluxmem.memory.nodes.layer.keys()].filter((n) => fluxmem.memory.nodes.layer[n] === l).map((n) => fluxmem.drawing.ys[n]); return [Math.max(...of(3)), Math.min(...of(1)), Math.max(...of(1)), Math.min(...of(0))]; })()"
    )
    assert layers == sorted(layers)
    page.key("1")
    assert page.run("[fluxmem.drawing.shown.has(0), document.querySelector('#legend button').getAttribute('aria-pressed')]") == [
        False,
        "false",
    ]
    page.key("?")
    assert page.run("document.getElementById('keys').open")
    page.key("Escape")
    page.until("!document.getElementById('keys').open")


def test_a_drag_moves_the_last_drawing_where_there_is_much(page: Browser) -> None:
    page.run(
        "(() => { const d = fluxmem.drawing; d.draw(); d.much = true;"
        " const draw = d.draw.bind(d); window.full = 0; d.draw = () => { window.full++; draw(); }; window.begun = d.transform.x; })()"
    )
    page.mouse("mouseMoved", 600, 500)
    page.mouse("mousePressed", 600, 500, button="left", buttons=1, clickCount=1)
    for at in range(12):
        page.mouse("mouseMoved", 600 + 5 * at, 500, button="left", buttons=1)
    assert page.run("[window.full <= 1, fluxmem.drawing.transform.x > window.begun + 20]") == [True, True]
    page.mouse("mouseReleased", 655, 500, button="left", clickCount=1)
    page.until("window.full >= 1")


@pytest.mark.parametrize("many", [0, 1, 2, 4])
def test_a_memory_with_hardly_anything_in_it(browser: Browser, tmp_path: Path, many: int) -> None:
    browser.problems.clear()
    with FluxMem.open(tmp_path / "m", chroma="off") as fresh:
        for number in range(many):
            fresh.store.put(ADA, f"key {number}", {"text": f"thing {number}"}, index=False if number % 2 else None)
        with ViewServer(fresh, ADA) as running:
            browser.open("about:blank", "")
            browser.open(running.url)
            assert browser.run(SHOWN) == many
            for key in ("l", "0", " ", "]", "/"):
                browser.key(key)
            assert ("Nothing has been remembered" in browser.run("document.getElementById('note').innerText")) == (not many)
    assert browser.problems == []


def test_stored_text_is_text(page: Browser) -> None:
    nodes = page.run("[...fluxmem.memory.nodes.title.keys()].filter((n) => fluxmem.memory.nodes.title[n].includes('<script>'))")
    assert len(nodes) >= 2
    for node in nodes:
        page.run("document.getElementById('panel').replaceChildren()")
        page.key("/")
        page.run("document.getElementById('q').value = ''")
        page.type(page.run(f"fluxmem.memory.nodes.title[{node}]")[:40])
        page.key("Enter")
        page.until("document.getElementById('panel').innerText.includes('What happened to it')")
        assert "<script>window.hacked=1</script>" in panel(page)
    page.key("r")
    page.type(HOSTILE)
    page.key("Enter")
    page.until("document.querySelector('.callout')")
    assert page.run("document.querySelectorAll('#panel script, #panel img').length") == 0
    assert (
        page.run("(() => { try { document.body.innerHTML = '<b>x</b>'; return 'written'; } catch (error) { return error.name; } })()")
        == "TypeError"
    )
    page.problems[:] = [problem for problem in page.problems if "TrustedHTML" not in problem]


def test_what_is_new_is_offered(page: Browser, mem: FluxMem) -> None:
    before = page.run("fluxmem.memory.count")
    mem.remember("Something new about a lamp.", namespace=ADA)
    page.until("!document.getElementById('news').hidden")
    page.run("(() => { window.old = true; document.getElementById('news').click(); })()")
    page.until("window.old === undefined && document.documentElement.dataset.ready === 'yes'")
    assert page.run("fluxmem.memory.count") == before + 1


def test_the_file_opens_without_a_server(browser: Browser, mem: FluxMem, tmp_path: Path) -> None:
    browser.problems.clear()
    browser.requests.clear()
    written = export_view(mem, ADA, tmp_path / "view.html", recalls=["refund order 44"])
    browser.open("about:blank", "")
    browser.open(written.as_uri())
    browser.until("document.querySelector('.callout')")
    assert browser.run("fluxmem.lit().length") > 2
    browser.run("document.querySelector('#panel button.pick').click()")
    browser.until("document.getElementById('panel').innerText.includes('What happened to it')")
    assert browser.problems == []
    assert browser.run("typeof window.hacked") == "undefined"
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert MARK not in written.read_text()
