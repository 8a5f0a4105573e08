"""What the audience sees: progress while games are made and played, then the table, the curve, the memory and one of its reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langgraph_fluxmem.demo.games import GameSpec
from langgraph_fluxmem.demo.report import GameResult, Row, curve, plot, shown, sparkline, write_json
from langgraph_fluxmem.demo.run import Audience, Options, RunFailedError, default_data
from langgraph_fluxmem.demo.session import TESTS, Event, Finished, Opened
from langgraph_fluxmem.errors import FluxMemError, MissingExtraError

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text
except ImportError:
    raise MissingExtraError('the demonstration needs rich: pip install "langgraph_fluxmem[demo]"') from None

NAMES = {
    "none": "no memory",
    "static": "static memory",
    "nearest": "nearest success - failure",
    "fluxmem": "FluxMem",
    "full": "FluxMem with skills",
    "noedits": "FluxMem without edits",
}
STREAM = {
    "won": "won",
    "won_last_third": "won, last third",
    "score": "score",
    "score_last_third": "score, last third",
    "steps_last_third": "commands, last third",
}
FROZEN = {
    "new_won": "new games: won",
    "new_score": "score",
    "other_won": "unseen ingredients: won",
    "other_score": "score",
}


class Screen(Audience):
    """Shows a run on a terminal; without one, prints a line now and then."""

    def __init__(self, options: Options, console: Console | None = None) -> None:
        self.options = options
        self.console = console or Console()
        self.data = options.data or default_data()
        self._results: list[GameResult] = []
        self._opened: dict[tuple[str, int], Opened] = {}
        self._finished: list[Finished] = []
        self._made = (0, 0)
        self._started = time.monotonic()
        self._live: Live | None = None

    def play(
        self, run: Callable[[Options, Audience], list[GameResult]], summary: Callable[[Options, Sequence[GameResult]], list[Row]]
    ) -> int:
        """Run, watching, and show what came of it; returns the exit status."""
        self.console.print(self._opening())
        try:
            if self.console.is_terminal:
                with Live(console=self.console, refresh_per_second=4, transient=True) as self._live:
                    results = run(self.options, self)
            else:
                results = run(self.options, self)
        except KeyboardInterrupt:
            self.console.print("stopped; the same command goes on with the game it stopped at.")
            return 130
        except (RunFailedError, FluxMemError, ValueError) as error:
            self.console.print(Text(str(error), style="red"))
            return 1
        self._close(results, summary(self.options, results))
        return 0

    # ---------------------------------------------------------------------------------------------------------- while it runs
    def made(self, spec: GameSpec, count: int, of: int) -> None:
        """A game was made."""
        del spec
        self._made = (count, of)
        if self._live is None and count % 20 == 0:
            self.console.print(f"{self._clock()} games made: {count} of {of}")

    def see(self, event: Event) -> None:
        """Something happened at a table."""
        if isinstance(event, Opened):
            self._opened[event.variant, event.seed] = event
            self._results.extend(event.resumed)
            said = self._greeting(event)
            if said:
                self.console.print(said)
        elif isinstance(event, GameResult):
            self._results.append(event)
            if self._live is None and event.part == "stream" and (event.index == 0 or (event.index + 1) % 10 == 0):
                last = [r for r in self._of(event.variant, event.seed) if r.part == "stream"][-10:]
                won, score = sum(r.won for r in last), sum(r.score for r in last) / len(last)
                span = "last ten: " if len(last) == 10 else ""
                line = f"{self._clock()} {event.variant:8} seed {event.seed}: game {event.index + 1:3}, {span}won {won}, score {score:.2f}"
                self.console.print(line)
        elif isinstance(event, Finished):
            self._finished.append(event)
        self.tick()

    def tick(self) -> None:
        """Draw again."""
        if self._live is not None:
            self._live.update(self._board())

    def _opening(self) -> Panel:
        options = self.options
        last = options.first_game + options.games - 1
        text = (
            "A LangGraph agent cooks in TextWorld's kitchens, which it has never seen. Each game is another recipe in another kitchen, played "
            "once, with 50 commands; 8 points win it, and a burnt or wrongly cut ingredient loses it. It sees what the game prints, the admissible "
            "commands and its score. No model is called. Three agents share one policy and one source of chance; they differ in memory alone.\n"
            f"Games {options.first_game}..{last}, seeds {', '.join(map(str, options.seeds))}; memories in {self.data}"
        )
        return Panel(text, title="langgraph_fluxmem", border_style="cyan")

    def _greeting(self, event: Opened) -> str | None:
        if event.resumed:
            return (
                f"{NAMES.get(event.variant, event.variant)}, seed {event.seed}: cut short last time after {len(event.resumed)} games; "
                f"goes on with the next, {event.episodes} episodes in memory."
            )
        if event.episodes:
            return f"{NAMES.get(event.variant, event.variant)}, seed {event.seed}: continues from the memory on disk, {event.episodes} episodes from earlier starts."
        return None

    def _board(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for column in ("", "games", "won", "last ten: won", "score", "won per ten games"):
            table.add_column(column, justify="left" if column in ("", "won per ten games") else "right")
        for variant in reversed(self.options.variants):
            found = [r for r in self._results if r.variant == variant]
            stream = [r for r in found if r.part == "stream"]
            of = sum(len(course.specs()) for course in self.options.courses())
            if not stream:
                table.add_row(NAMES.get(variant, variant), f"0/{of}", "", "", "", Text("starting", style="dim"))
                continue
            last = stream[-10:]
            table.add_row(
                NAMES.get(variant, variant),
                f"{len(found)}/{of}",
                str(sum(r.won for r in stream)),
                str(sum(r.won for r in last)),
                f"{sum(r.score for r in last) / len(last):.2f}",
                sparkline(curve(found, variant, self.options.games)),
            )
        made, of = self._made
        making = f"making games ahead of play: {made} of {of}  " if of and made < of else ""
        return Group(table, Text(f"{making}{self._clock()}", style="dim"))

    # ------------------------------------------------------------------------------------------------------------ when it is over
    def _close(self, results: list[GameResult], made: list[Row]) -> None:
        self.console.print(self._table(made, STREAM, "the stream: each game played once, shares of games won and of points"))
        if self.options.tests:
            self.console.print(self._table(made, FROZEN, "then, memory frozen: games it has not met"))
        one = len(self.options.seeds) == 1
        self.console.print(
            Text(
                "± is half of a 95% interval: "
                + ("a bootstrap over the games of one seed, paired by game for differences." if one else "a paired t-interval over seeds."),
                style="dim",
            )
        )
        for row in made:
            if "curve" in row:
                self.console.print(f"{row['variant']:8} {sparkline(row['curve'])}  games won per ten: {_numbers(row['curve'])}")
        self._memory()
        self._reason()
        picture = self._picture(results)
        if self.options.json is not None:
            write_json(self.options.json, made, results)
            self.console.print(f"rows and games: {self.options.json}")
        self.console.print(f"learning curve: {picture}   memories: {self.data}   {self._clock()}")
        self.console.print(
            "Start it again: it continues from the memory on disk (these kitchens again; with --first-game "
            f"{self.options.first_game + self.options.games + 2 * TESTS} kitchens it has not met)."
        )

    def _table(self, made: list[Row], columns: dict[str, str], title: str) -> Table:
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for heading in columns.values():
            table.add_column(heading, justify="right")
        for row in made:
            difference = "curve" not in row
            name = row["variant"] if difference else NAMES.get(row["variant"], row["variant"])
            table.add_row(name, *(shown(row, key, difference=difference) for key in columns), style="dim" if difference else None)
        return table

    def _memory(self) -> None:
        for event in self._finished:
            holdings = event.holdings
            if holdings is None:
                continue
            self.console.print(
                f"\nFluxMem, seed {event.seed}, now holds {holdings['episodes']} episodes of {holdings['steps']} steps; from them it has "
                f"{holdings['templates']} action templates and {holdings['links']} links from situations to them. What led on most:"
            )
            for entry in holdings["best"]:
                line = f"  {entry['template']:40} led on {entry['led on']:.0f}, failed {entry['failed']:.0f}, lost the game {entry['lost']:.0f}"
                self.console.print(Text(line))
            return

    def _reason(self) -> None:
        for event in self._finished:
            if event.variant == "fluxmem" and event.explanation is not None:
                self.console.print(Panel(_explained(event.explanation), title="why one of its actions was chosen", border_style="green"))
                return

    def _picture(self, results: list[GameResult]) -> Path:
        path = self.options.json.with_suffix(".png") if self.options.json is not None else self.data / "learning_curve.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        plot(results, games=self.options.games, path=path)
        return path

    def _of(self, variant: str, seed: int) -> list[GameResult]:
        return [result for result in self._results if (result.variant, result.seed) == (variant, seed)]

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60}:{seconds % 60:02}"


def _numbers(blocks: Sequence[float | None]) -> str:
    return " ".join("-" if value is None else f"{value:g}" if value == int(value) else f"{value:.1f}" for value in blocks)


def _explained(told: dict[str, Any]) -> Text:
    text = Text()
    text.append(f"Game {told['game']}, step {told['step']}. {told['carrying']}\n")
    for note in told["notes"][:1]:
        lines = [line.strip() for line in note.splitlines() if line.strip()]
        text.append("It had noted: " + " | ".join(lines[-8:]) + "\n", style="dim")
    if told["before"]:
        text.append("Just before: " + "; ".join(told["before"]) + "\n", style="dim")
    for label, entry, style in (
        ("chose", told["chosen"], "bold green"),
        ("rather than", told["next"], ""),
        ("and least", told["worst"], "red"),
    ):
        if entry is None:
            continue
        text.append(f"{label:>12}  {entry['action']}", style=style)
        text.append(
            f"   advice {entry['score']:+.1f} logits: progress {entry['value']:.2f}, loss {entry['risk']:.2f}, evidence {entry['support']:.0f}\n"
        )
        for line in entry["why"]:
            text.append(f"              {line}\n", style="dim")
    text.append(f"The game said: {told['said'].splitlines()[0] if told['said'] else ''} (+{told['gained']})")
    return text
