"""The commands that forget, compact and move a memory. What cannot be taken back asks first, or wants ``--yes``."""

from __future__ import annotations

import datetime as dt
import itertools
import json as json_
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from langgraph_fluxmem.cli import show
from langgraph_fluxmem.cli.options import AsJson, Directory, Embedding
from langgraph_fluxmem.cli.place import argument_of, existing, holds_memory, namespace_of, opened
from langgraph_fluxmem.errors import ConfigError, InvalidContentError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Many = Annotated[list[str] | None, typer.Option("--namespace", "-n", help="Labels joined by dots; may be given several times.")]
Deep = Annotated[bool, typer.Option("--deep", help="The namespaces below, too.")]
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def forget(  # noqa: PLR0917 - options of a command are given by name
    directory: Directory = "memory",
    id_: Annotated[list[str] | None, typer.Option("--id", help="Of a fact, item, episode, skill, commit or run; several times.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Labels joined by dots, as in acme.ada.")] = None,
    deep: Deep = False,
    user: Annotated[str | None, typer.Option(help="A label in namespaces, wherever it stands.")] = None,
    source: Annotated[str | None, typer.Option(help="The source of facts.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="A JSON object, as in a store's search.")] = None,
    before: Annotated[str | None, typer.Option(help="Last written before: an age (90d, 12h), or a date (2026-01-31).")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="fact, item, episode or skill; several times.")] = None,
    dry_run: Dry = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Forget for good: it shows what goes and what goes with it, and asks. This cannot be undone."""
    with opened(directory) as mem:
        asked: dict[str, Any] = {
            "ids": id_ or None,
            "namespace": None if namespace is None else namespace_of(namespace),
            "deep": deep,
            "user": user,
            "source": source,
            "filter": _filter(filter_),
            "before": None if before is None else _moment(before),
            "kinds": kind or None,
        }
        report = mem.forget(**asked, dry_run=True)
        if not dry_run and report.removed:
            if not json:
                show.out.print(str(report), markup=False, soft_wrap=True)
            _ask("forget this?", yes=yes)
            report = mem.forget(**asked)
    if json:
        show.as_json(report.as_dict())
    else:
        show.out.print(str(report), markup=False, soft_wrap=True)
        if dry_run:
            for found in report.removed:
                show.out.print(f"  {found.kind} {found.id} ({found.why})", markup=False, soft_wrap=True)


def compact(
    directory: Directory = "memory",
    keep: Annotated[
        str | None, typer.Option(help="Drop the past but for the newest so many operations (100), or an age (30d). None: keep it.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make the files small and clean of what was deleted; with --keep drop superseded versions and old log, too."""
    with opened(directory) as mem:
        report = mem.compact(keep=None if keep is None else int(keep) if keep.isdigit() else _age(keep), progress=_progress(json))
    show.as_json(report.model_dump(mode="json")) if json else show.out.print(str(report), markup=False, soft_wrap=True)


def export(  # noqa: PLR0917 - options of a command are given by name
    to: Annotated[str, typer.Argument(help="A file (.gz: compressed), or - for standard output.")],
    directory: Directory = "memory",
    namespace: Many = None,
    deep: Deep = False,
    vectors: Annotated[bool, typer.Option("--vectors/--no-vectors", help="Without them texts are embedded again on import.")] = True,
    json: AsJson = False,
) -> None:
    """Write what counts now as JSON Lines."""
    with opened(directory) as mem:
        report = mem.export(
            sys.stdout if to == "-" else to,
            namespaces=None if namespace is None else [namespace_of(name) for name in namespace],
            deep=deep,
            vectors=vectors,
            progress=_progress(json or to == "-"),
        )
    if to == "-":
        return
    if json:
        show.as_json(report.model_dump(mode="json"))
    else:
        show.out.print(
            f"wrote {report.operations} operations with {report.nodes} nodes of {len(report.namespaces)} namespaces to {to}", markup=False
        )


def import_(  # noqa: PLR0917 - options of a command are given by name
    file: Annotated[str, typer.Argument(help="What `export` wrote.")],
    directory: Directory = "memory",
    into: Annotated[list[str] | None, typer.Option(help="acme.ada=tenants.ada: another namespace; several times.")] = None,
    reembed: Annotated[bool, typer.Option("--reembed", help="Embed the texts anew, where its vectors are of another embedding.")] = False,
    embeddings: Embedding = None,
    json: AsJson = False,
) -> None:
    """Read an export into a memory; one that is not there is made, with the export's embedding unless another is given."""
    from langgraph_fluxmem.memory import FluxMem  # noqa: PLC0415 - commands load what they need

    names = {namespace_of(old): namespace_of(new) for old, new in (_pair(text) for text in into or ())}
    if holds_memory(directory):
        with opened(directory, embeddings) as mem:
            report = mem.import_(file, into=names, reembed=reembed, progress=_progress(json))
    else:
        with FluxMem.open(directory, embeddings=embeddings or _embedding_in(file)) as mem:
            report = mem.import_(file, into=names, reembed=reembed, progress=_progress(json))
    if json:
        show.as_json(report.model_dump(mode="json"))
    else:
        show.out.print(
            f"imported {report.operations} operations with {report.nodes} nodes; {report.duplicates} were there; {report.embedded} texts embedded",
            markup=False,
        )


def reembed(
    directory: Directory = "memory",
    embeddings: Annotated[str | None, typer.Option(help="The new embedding: 'local', 'openai:...'; none: the offline one.")] = None,
    dry_run: Dry = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Move a memory to another embedding: it says how much text that is, and asks. Interrupted, the same command goes on."""
    from langgraph_fluxmem.memory import FluxMem  # noqa: PLC0415

    existing(directory)
    report = FluxMem.reembed(directory, embeddings, dry_run=True)
    if not dry_run and report.texts:
        if not json:
            show.out.print(f"{report.texts} texts, {report.characters} characters: {report.before} -> {report.after}", markup=False)
        _ask("embed them?", yes=yes)
    if not dry_run:
        report = FluxMem.reembed(directory, embeddings, progress=_progress(json))
    if json:
        show.as_json(report.model_dump(mode="json"))
    else:
        verb = "would embed" if dry_run else "embedded"
        show.out.print(f"{verb} {report.texts} texts, {report.characters} characters: {report.before} -> {report.after}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for name, command in {"forget": forget, "compact": compact, "export": export, "import": import_, "reembed": reembed}.items():
        app.command(name)(command)


# -------------------------------------------------------------------------------------------------------------------- what is given
def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{question.rstrip('?')}: nobody is there to be asked; pass --yes, or look with --dry-run")
    if not typer.confirm(question):
        raise typer.Exit(1)


def _progress(silent: bool) -> Any:
    def tell(told: dict[str, Any]) -> None:
        show.err.print(" ".join(f"{name}={value}" for name, value in told.items()), markup=False)

    return None if silent else tell


def _filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json_.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise ConfigError(f"--filter is {text!r}; expected a JSON object such as " + '{"team": "red"}')
    return found


def _age(text: str) -> dt.timedelta:
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no age; expected a number with s, m, h, d or w, as in 90d")
    return dt.timedelta(**{_UNITS[found[2]]: float(found[1])})


def _moment(text: str) -> dt.datetime | dt.timedelta:
    if _AGE.fullmatch(text.strip()):
        return _age(text)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--before is {text!r}; expected an age such as 90d, or a date such as 2026-01-31") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _pair(text: str) -> tuple[str, str]:
    old, mark, new = text.partition("=")
    if not (old and mark and new):
        raise ConfigError(f"--into is {text!r}; expected old=new, as in acme.ada=tenants.ada")
    return old, new


def _embedding_in(file: str) -> str | None:
    """The `embeddings` argument that fits an export.

    Raises:
        InvalidContentError: it is none, so that no memory is made for it.
    """
    from langgraph_fluxmem.moving.exporting import opened as reading  # noqa: PLC0415

    with reading(Path(file), "r") as lines:
        for line in itertools.islice(lines, 1):
            try:
                embedding = json_.loads(line).get("embedding")
            except (ValueError, AttributeError):
                break
            return argument_of(str(embedding[0])) if embedding else None
    raise InvalidContentError(f"{file} is no export: its first line is no JSON object; give what `fluxmem export` wrote")
