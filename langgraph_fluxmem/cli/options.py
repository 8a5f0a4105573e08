"""Arguments and options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Directory = Annotated[str, typer.Argument(help="The memory's directory, or the address of its database.", envvar="FLUXMEM_DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
In = Annotated[str | None, typer.Option("--namespace", "-n", help="Labels joined by dots, as in acme.ada.")]
Embedding = Annotated[str | None, typer.Option(help="The embedding, where it is not one with a name: 'local', 'openai:...'.")]
