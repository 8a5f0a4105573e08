"""The commands. Exit status: 0 done, 1 refused or failed (one line says why and what to do), 2 wrong usage, 3 `verify` or `doctor` found something."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from langgraph_fluxmem.cli import keeping, show
from langgraph_fluxmem.cli.migrate import migrate
from langgraph_fluxmem.cli.options import AsJson, Directory, Embedding, In
from langgraph_fluxmem.cli.place import found_namespaces, holds_memory, namespace_of, opened, opened_or_made, tell_elsewhere
from langgraph_fluxmem.errors import AmbiguousIdError, FluxMemError, UnknownIdError

FOUND = 3
"""Exit status of `verify` and `doctor` when something is wrong."""
_IDENTIFIER = re.compile(r"\S*[0-9a-f]{8}\S*")
"""What can only be meant as an id: one word with a row of hexadecimal digits."""

app = typer.Typer(name="fluxmem", no_args_is_help=True, help=__doc__, rich_markup_mode=None, pretty_exceptions_enable=False)

app.add_typer(migrate, name="migrate")


@app.command()
def init(directory: Directory = "memory", embeddings: Embedding = None, json: AsJson = False) -> None:
    """Make an empty memory; one that is there is left as it is."""
    database = "://" in directory
    was = not database and holds_memory(directory)
    with opened_or_made(directory, embeddings) as mem:
        if json:
            show.as_json({"memory": mem.id, "directory": directory, "made": None if database else not was})
        else:
            what = "memory" if database else "found memory" if was else "made memory"
            show.out.print(f"{what} {mem.id} in {directory}", markup=False, soft_wrap=True)


@app.command()
def stats(directory: Directory = "memory", namespace: In = None, json: AsJson = False) -> None:
    """What the memory holds, by namespace."""
    from langgraph_fluxmem.cli.stats import memory_stats, namespace_stats  # noqa: PLC0415

    with opened(directory) as mem:
        rows = [namespace_stats(mem, found) for found in found_namespaces(mem, namespace)]
        whole = memory_stats(mem, directory)
    if json:
        show.as_json({**whole, "namespaces": rows})
        return
    if (embedding := whole["embedding"]) is not None:
        whole["embedding"] = f"{embedding['name']}, {embedding['dimensions']} dimensions"
    show.lines({name: value for name, value in whole.items() if value not in (None, [])})
    columns = ("namespace", "facts", "episodes", "outcomes", "skills", "edges", "evidence")
    show.table("", columns, ([_counts(row[column]) for column in columns] for row in rows))


@app.command()
def recall(  # noqa: PLR0917 - options of a command are given by name
    query: str, directory: Directory = "memory", namespace: In = None, k: int = 10, embeddings: Embedding = None, json: AsJson = False
) -> None:
    """What comes to mind for a query: facts with their scores, past steps, skills."""
    with opened(directory, embeddings) as mem:
        activation = mem.recall(query, namespace=namespace_of(namespace), k=k)
        tell_elsewhere(mem, namespace)
    if json:
        show.as_json(activation.model_dump(mode="json"))
        return
    if not (activation.facts or activation.steps or activation.episodes or activation.skills):
        show.out.print("nothing")
    if activation.facts:
        show.entries("facts", [(f"{fact.score:.3f}  {show.one_line(fact.content)}", f"{fact.id}: {fact.why}") for fact in activation.facts])
    if activation.skills:
        show.table(
            "skills", ("status", "name", "when"), [(skill.status, skill.name, show.one_line(skill.when)) for skill in activation.skills]
        )
    if activation.steps:
        steps = [
            (show.one_line(str(step.action)), f"led on {step.successes:g}, did not {step.failures:g}, ended badly {step.losses:g}")
            for step in activation.steps
        ]
        show.entries("steps", steps)
    if activation.episodes:
        show.entries("episodes", [(f"{found.outcome}  {show.one_line(found.task)}", found.id) for found in activation.episodes])


@app.command()
def explain(  # noqa: PLR0917 - options of a command are given by name
    target: Annotated[str, typer.Argument(help="A query, or the id of a fact, step, episode, skill, commit or run.")],
    directory: Directory = "memory",
    namespace: In = None,
    k: int = 10,
    embeddings: Embedding = None,
    json: AsJson = False,
) -> None:
    """Why a query recalls what it does, and what it would recall without learning; or what an id names, where it is from, what rests on it."""
    with opened(directory, embeddings) as mem:
        where = None if namespace is None else namespace_of(namespace)
        try:
            found = mem.explain(target, namespace=where)
        except UnknownIdError as error:
            if isinstance(error, AmbiguousIdError) or _IDENTIFIER.fullmatch(target):
                raise
            found = mem.explain(mem.recall(target, namespace=namespace_of(namespace), k=k))
            tell_elsewhere(mem, namespace)
    if json:
        show.as_json(found.model_dump(mode="json"))
    else:
        show.out.print(found.text(), markup=False, soft_wrap=True)


@app.command()
def log(directory: Directory = "memory", namespace: In = None, limit: int = 20, json: AsJson = False) -> None:
    """The newest operations: what changed memory, when, from where."""
    with opened(directory) as mem:
        rows = mem.log(namespace=None if namespace is None else namespace_of(namespace), limit=limit)
    if json:
        show.as_json(
            [
                {
                    "id": row.id,
                    "kind": row.kind,
                    "namespace": ".".join(row.namespace),
                    "position": row.position,
                    "at": row.at,
                    "edits": row.edits,
                }
                | {"undone": row.undone, "undoes": row.undoes, "provenance": row.provenance.model_dump(exclude_none=True)}
                for row in rows
            ]
        )
        return
    for row in rows:
        undone = ", undone" if row.undone else ""
        head = f"{row.position}  {show.when(row.at)} UTC  {row.kind} in {'.'.join(row.namespace)}, {row.edits} edits{undone}"
        show.out.print(head, markup=False, soft_wrap=True)
        show.out.print(f"    {row.id}", markup=False, soft_wrap=True, style="dim")
    if not rows:
        show.out.print("nothing was written")


@app.command()
def undo(
    operation: str,
    directory: Directory = "memory",
    cascade: Annotated[bool, typer.Option(help="Undo what rests on it, too.")] = False,
    json: AsJson = False,
) -> None:
    """Take one operation back (its id from `log`, or a commit's). An undo can be undone."""
    with opened(directory) as mem:
        applied = mem.undo(operation, cascade=cascade)
    if json:
        show.as_json({"operation": applied.operation, "position": applied.position})
    else:
        show.out.print(f"undone; the undo is {applied.operation}", markup=False)


@app.command()
def consolidate(
    directory: Directory = "memory",
    namespace: In = None,
    model: Annotated[str | None, typer.Option(help="A chat model as 'provider:model'; none: by rules.")] = None,
    embeddings: Embedding = None,
    json: AsJson = False,
) -> None:
    """Make skills of what has recurred; prints the report. All namespaces, unless one is named."""

    def progress(told: dict[str, Any]) -> None:
        if not json:
            show.err.print(" ".join(f"{name}={value}" for name, value in told.items()), markup=False, soft_wrap=True)

    with opened(directory, embeddings) as mem:
        found = [
            space for space in found_namespaces(mem, namespace) if namespace is not None or mem.engine.ledger.holds(space, ("episode",))
        ]
        reports = [mem.consolidate(namespace=space, model=model, progress=progress) for space in found]
    if json:
        show.as_json([report.model_dump(mode="json") for report in reports])
        return
    for report in reports:
        show.out.print(str(report), markup=False, soft_wrap=True)
    if not reports:
        show.out.print("no namespace holds episodes")


@app.command()
def quarantine(  # noqa: PLR0917 - options of a command are given by name
    directory: Directory = "memory",
    namespace: In = None,
    release: Annotated[str | None, typer.Option(help="Let this item take its place.")] = None,
    discard: Annotated[str | None, typer.Option(help="Drop this item's text.")] = None,
    decided: Annotated[bool, typer.Option("--all", help="Also what was released or discarded.")] = False,
    json: AsJson = False,
) -> None:
    """What was kept out of skills and notes because others wrote it to be obeyed, each with why; release or discard it."""
    with opened(directory) as mem:
        space = namespace_of(namespace)
        done = [call(item, namespace=space) for call, item in ((mem.release, release), (mem.discard, discard)) if item is not None]
        items = mem.quarantine(namespace=space, decided=decided)
        tell_elsewhere(mem, namespace)
    if json:
        show.as_json([item.model_dump(mode="json") for item in items])
        return
    for applied in done:
        show.out.print(f"done; undo it with {applied.operation}", markup=False)
    for item in items:
        show.out.print(str(item), markup=False, soft_wrap=True)
    if not items:
        show.out.print("nothing is held back")


@app.command()
def verify(directory: Directory = "memory", embeddings: Embedding = None, json: AsJson = False) -> None:
    """Compare every projection with the ledger; each difference is a line. Exit status 3 if there is one."""
    with opened(directory, embeddings) as mem:
        for namespace in mem.engine.ledger.namespaces():
            mem.engine.projections.view(namespace, ())
            mem.engine.learned(namespace)
        differences = mem.verify()
    if json:
        show.as_json({"differences": differences})
    else:
        for line in differences or ["clean"]:
            show.out.print(line, markup=False)
    if differences:
        raise typer.Exit(FOUND)


@app.command()
def rebuild(
    directory: Directory = "memory",
    projection: Annotated[str | None, typer.Option(help="exact, postings, graph, chroma or learned; none: all.")] = None,
    embeddings: Embedding = None,
    json: AsJson = False,
) -> None:
    """Drop projections and replay the log into them. Nothing is embedded again."""
    with opened(directory, embeddings) as mem:
        mem.rebuild(projection)
        mem.flush()
    show.as_json({"rebuilt": projection or "all"}) if json else show.out.print("rebuilt")


@app.command()
def backup(
    to: Annotated[str, typer.Argument(help="A new or empty directory.")], directory: Directory = "memory", json: AsJson = False
) -> None:
    """Write a consistent copy while the memory is in use. It is a memory like the one it was made of."""
    with opened(directory) as mem:
        mem.engine.ledger.backup(to)
    show.as_json({"written": to}) if json else show.out.print(f"written to {to}", markup=False, soft_wrap=True)


@app.command()
def view(  # noqa: PLR0917 - options of a command are given by name
    directory: Directory = "memory",
    namespace: In = None,
    port: Annotated[int, typer.Option(help="On the loopback address; 0: any that is free.", min=0, max=65535)] = 0,
    browse: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
    limit: Annotated[int, typer.Option(help="Things drawn, at most.", min=1)] = 5_000,
    export: Annotated[str | None, typer.Option(help="Write the page to this file instead, with all it needs in it.")] = None,
    recall: Annotated[list[str] | None, typer.Option(help="A query whose recall the file explains; may be given several times.")] = None,
    embeddings: Embedding = None,
    json: AsJson = False,
) -> None:
    """Look at one namespace: its graph, how it formed, what comes to mind and why. A local page that reads only."""
    from langgraph_fluxmem.viewing.command import one_namespace  # noqa: PLC0415
    from langgraph_fluxmem.viewing.command import view as show_page  # noqa: PLC0415

    with opened(directory, embeddings, chroma="off") as mem:
        where = one_namespace(mem, namespace)
        show_page(mem, where, port=port, browse=browse, limit=limit, export=export, recalls=recall or (), json=json)


@app.command()
def doctor(
    directory: Annotated[str | None, typer.Argument(help="A memory to look at, too.", envvar="FLUXMEM_DIR")] = None, json: AsJson = False
) -> None:
    """What is installed, which embedding and index answer, and what to do next. Exit status 3 if something needed is missing or wrong."""
    from langgraph_fluxmem.cli.stats import doctor as examine  # noqa: PLC0415

    found = examine(directory)
    if json:
        show.as_json([{"what": what, "found": said, "do": mend} for what, said, mend in found])
    else:
        show.table("", ("what", "found", "to do"), found)
    if any(mend and said == "missing" for _, said, mend in found) or any(mend for what, _, mend in found if what == "verify"):
        raise typer.Exit(FOUND)


def _counts(value: object) -> object:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else value


# ------------------------------------------------------------------------------------------------- commands with parsers of their own
_OWN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_OWN)
def demo(context: typer.Context) -> None:
    """An agent learns to cook, with and without memory (`demo --help`)."""
    from langgraph_fluxmem.demo import run  # noqa: PLC0415 - the demonstration's imports are no business of other commands

    parser = argparse.ArgumentParser(prog="python -m langgraph_fluxmem demo", description=run.__doc__)
    run.add_arguments(parser)
    raise typer.Exit(run.demo(run.options_of(parser.parse_args(context.args))))


@app.command(context_settings=_OWN)
def schedule(context: typer.Context) -> None:
    """Consolidate by a cron of a LangGraph server (`schedule --help`)."""
    from langgraph_fluxmem import schedule_command  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m langgraph_fluxmem schedule", description=schedule_command.__doc__)
    schedule_command.add_arguments(parser)
    raise typer.Exit(schedule_command.command(parser.parse_args(context.args)))


keeping.add_to(app)


def main(argv: Sequence[str] | None = None, *, program: str = "python -m langgraph_fluxmem") -> int:
    """Run a command; returns the exit status. Its help calls it `program`."""
    try:
        app(args=None if argv is None else list(argv), prog_name=program)
    except FluxMemError as error:
        show.err.print(f"error: {' '.join(str(error).split())}", markup=False, soft_wrap=True)
        return 1
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0
    return 0
