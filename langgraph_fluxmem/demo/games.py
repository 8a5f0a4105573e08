"""TextWorld cooking games: made once with TextWorld's own generator, kept in a cache outside the checkout.

A game is two files, `<split>-<seed>.z8` (the story, about 0.4 MB) and `<split>-<seed>.json` (TextWorld's bookkeeping). They are what
`tw-make tw-cooking --recipe 2 --take 2 --cook --cut --open --go 1 --split SPLIT --seed SEED` makes; calling the generator from a
process that stays alive saves the start of an interpreter per game. TextWorld is imported when a game is made, not before.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, Self

from langgraph_fluxmem.errors import MissingExtraError

Split = Literal["train", "valid", "test"]

SETTINGS: tuple[str, ...] = ("--recipe", "2", "--take", "2", "--cook", "--cut", "--open", "--go", "1")
"""Arguments of `tw-make tw-cooking` shared by all games: two ingredients to find, cut and cook, in one kitchen; 8 points to win."""


@dataclass(frozen=True, order=True)
class GameSpec:
    """Which game: the split its ingredients come from, and the seed of the generator."""

    seed: int
    split: Split = "train"

    @property
    def name(self) -> str:
        """The stem of the game's files."""
        return f"{self.split}-{self.seed:05d}"


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/langgraph_fluxmem/games`, or the same under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "langgraph_fluxmem" / "games"


class GameCache:
    """Games on disk, made when asked for.

    Several processes may share one cache: a lock file per game lets one of them make it while the others wait, and files appear
    under their final names only when they are whole.

    Args:
        root: directory of the cache; made when missing. Default: `default_cache()`.

    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_cache()

    def path(self, spec: GameSpec) -> Path:
        """Where the story file of `spec` is, or will be."""
        return self._folder() / f"{spec.name}.z8"

    def has(self, spec: GameSpec) -> bool:
        """Whether the game is made already."""
        return self.path(spec).exists()

    def ensure(self, spec: GameSpec) -> Path:
        """Return the story file of `spec`, making the game first where it is missing (about 2 s).

        Raises:
            MissingExtraError: TextWorld is not installed.

        """
        path = self.path(spec)
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            if not path.exists():
                _make(spec, path)
        path.with_suffix(".lock").unlink(missing_ok=True)
        return path

    def _folder(self) -> Path:
        settings = "".join(part.lstrip("-") if not part.isdigit() else part for part in SETTINGS)
        return self.root / f"textworld-{_version()}-{settings}"


def make_ahead(
    cache: GameCache,
    specs: Sequence[GameSpec],
    *,
    workers: int = 2,
    niceness: int = 5,
    on_made: Callable[[GameSpec], None] | None = None,
) -> GameMakers:
    """Start `workers` processes that make the missing games of `specs` in their order; returns at once.

    `niceness` is added to their scheduling priority, so that play is not slowed by games of later; `on_made` is called, in a thread of
    this process, after each game that had to be made.

    """
    return GameMakers(cache, specs, workers=workers, niceness=niceness, on_made=on_made)


class GameMakers:
    """Processes that make games ahead of play; a context manager that stops them on exit."""

    def __init__(
        self,
        cache: GameCache,
        specs: Sequence[GameSpec],
        *,
        workers: int,
        niceness: int,
        on_made: Callable[[GameSpec], None] | None,
    ) -> None:
        self.missing = tuple(spec for spec in specs if not cache.has(spec))
        self.made = 0
        self._on_made = on_made
        self._pool: ProcessPoolExecutor | None = None
        self._futures: list[Future[Path]] = []
        if self.missing:
            self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=os.nice, initargs=(niceness,))
            for spec in self.missing:
                future = self._pool.submit(_ensure_in, str(cache.root), spec)
                future.add_done_callback(self._noticing(spec))
                self._futures.append(future)

    def wait(self) -> None:
        """Return when every game is made.

        Raises:
            Exception: what the generator raised for the first game that could not be made.

        """
        for future in self._futures:
            future.result()

    def close(self) -> None:
        """Stop after the games being made now."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _noticing(self, spec: GameSpec) -> Callable[[Future[Path]], None]:
        def notice(future: Future[Path]) -> None:
            if not future.cancelled() and future.exception() is None:
                self.made += 1
                if self._on_made is not None:
                    self._on_made(spec)

        return notice


def _ensure_in(root: str, spec: GameSpec) -> Path:
    return GameCache(root).ensure(spec)


def _version() -> str:
    try:
        return importlib.metadata.version("textworld")
    except importlib.metadata.PackageNotFoundError:
        raise missing_textworld() from None


NEEDED = {
    "textworld": "textworld",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "langgraph.checkpoint.sqlite": "langgraph-checkpoint-sqlite",
}
"""Modules of the extra `demo`, and the packages they come in."""


def check_extra() -> None:
    """Refuse to start without the packages of the extra `demo`.

    Raises:
        MissingExtraError: some are not installed; it names them.

    """
    missing = [package for module, package in NEEDED.items() if not _installed(module)]
    if missing:
        raise missing_textworld(*missing)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missing_textworld(*packages: str) -> MissingExtraError:
    """The error raised where TextWorld, or another of `packages`, is needed and not installed."""
    return MissingExtraError(
        f"the demonstration plays TextWorld games, and it needs packages that are not installed: {', '.join(packages) or 'textworld'}; TextWorld "
        "needs a C compiler and make (Debian, Ubuntu: apt-get install gcc make libc6-dev; macOS: xcode-select --install), "
        'then: pip install "langgraph_fluxmem[demo]"'
    )


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold an exclusive lock on `path` (between processes; freed by the system if this one dies)."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


_GRAMMARS: dict[tuple[Any, ...], Any] = {}


@contextlib.contextmanager
def _once_compiled() -> Generator[None]:
    """Let the generator do its work once: no first compiling of each game to rehearse its walkthrough, no parsing of the same grammar
    for each game. It halves the time a game takes, and the story files are the same, byte for byte."""
    import textworld  # noqa: PLC0415
    from textworld.generator.data import KnowledgeBase  # noqa: PLC0415

    rehearse, load = textworld.GameMaker.set_walkthrough, KnowledgeBase.load

    def load_once(*args: Any, **options: Any) -> Any:
        key = (*args, *sorted(options.items()))
        if key not in _GRAMMARS:
            _GRAMMARS[key] = load(*args, **options)
        return _GRAMMARS[key]

    def no_rehearsal(self: Any, commands: Any) -> None:
        del self, commands

    textworld.GameMaker.set_walkthrough, KnowledgeBase.load = no_rehearsal, load_once
    try:
        yield
    finally:
        textworld.GameMaker.set_walkthrough, KnowledgeBase.load = rehearse, load


def _make(spec: GameSpec, path: Path) -> None:
    try:
        import textworld  # noqa: PLC0415  (heavy, and optional)
        import textworld.challenges  # noqa: PLC0415
        import textworld.generator  # noqa: PLC0415
    except ImportError:
        raise missing_textworld() from None
    _, make, add_arguments = textworld.challenges.CHALLENGES["tw-cooking"]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    settings: dict[str, Any] = vars(parser.parse_args([*SETTINGS, "--split", spec.split]))
    options = textworld.GameOptions()
    options.seeds = spec.seed
    options.file_ext = ".z8"
    folder = Path(tempfile.mkdtemp(prefix=f".{spec.name}-", dir=path.parent))
    try:
        options.path = str(folder / path.name)
        with _once_compiled():
            game = make(settings=settings, options=options)
        textworld.generator.compile_game(game, options)
        for suffix in (".json", ".z8"):  # the story last: its presence says that the game is whole
            (folder / path.name).with_suffix(suffix).replace(path.with_suffix(suffix))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
