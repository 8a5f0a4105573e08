"""``fluxmem migrate``: move in from another memory."""

from __future__ import annotations

import json as parser
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from langgraph_fluxmem.cli import show
from langgraph_fluxmem.cli.options import AsJson
from langgraph_fluxmem.cli.place import opened_or_made
from langgraph_fluxmem.errors import ConfigError, InvalidContentError

migrate = typer.Typer(no_args_is_help=True, help="Move in from another memory; it can be run again.", rich_markup_mode=None)
Directory = Annotated[str, typer.Argument(help="The memory's directory, made when missing.", envvar="FLUXMEM_DIR")]


@migrate.command()
def mem0(
    file: Annotated[Path, typer.Argument(help="JSON: what mem0's get_all() gave.", exists=True, dir_okay=False)],
    directory: Directory = "memory",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Labels joined by dots, with {user_id}, {agent_id}, ...")
    ] = "{user_id}.memories",
    json: AsJson = False,
) -> None:
    """Remember memories of mem0 as facts."""
    from langgraph_fluxmem.migrating import from_mem0  # noqa: PLC0415 - commands load what they need

    try:
        read: Any = parser.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidContentError(f"{file} is no JSON: {error}; write what get_all() gave with json.dump") from None
    memories = read["results"] if isinstance(read, Mapping) and "results" in read else read
    if not isinstance(memories, list):
        raise InvalidContentError(f"{file} holds a {type(memories).__name__}; it must hold the list of memories, or {{'results': [...]}}")
    with opened_or_made(directory) as mem:
        _say(from_mem0(memories, mem, namespace=namespace.split(".")), directory, json=json)


@migrate.command()
def store(
    source: Annotated[str, typer.Argument(help="module:name of a LangGraph store, or of a function that returns one.")],
    directory: Directory = "memory",
    json: AsJson = False,
) -> None:
    """Copy every item of a LangGraph store, such as those langmem wrote."""
    from langgraph.store.base import BaseStore  # noqa: PLC0415

    from langgraph_fluxmem.migrating import from_store  # noqa: PLC0415

    module, _, name = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{source!r} names no store: {error}; give module:name, where the module can be imported from here") from None
    old = found if isinstance(found, BaseStore) or not callable(found) else found()
    if not isinstance(old, BaseStore):
        raise ConfigError(f"{source!r} is a {type(old).__name__}; it must be a LangGraph BaseStore, or a function that returns one")
    with opened_or_made(directory) as mem:
        _say(from_store(old, mem.store), directory, json=json)


def _say(count: int, directory: str, *, json: bool) -> None:
    if json:
        show.as_json({"moved": count, "directory": directory})
    else:
        show.out.print(f"moved {count} into {directory}", markup=False)
