"""``fluxmem view``: serve the page until it is interrupted, or write it to a file."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from langgraph_fluxmem.cli import show
from langgraph_fluxmem.cli.place import found_namespaces
from langgraph_fluxmem.errors import ConfigError, InvalidNamespaceError
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.viewing import ViewServer, export_view


def one_namespace(mem: FluxMem, text: str | None) -> Namespace:
    """The namespace named, or the only one that holds anything: a view is of one.

    Raises:
        InvalidNamespaceError: none is named and several, or none, hold something; or the one named holds nothing.
    """
    found = found_namespaces(mem, text)
    if len(found) != 1:
        there = ", ".join(".".join(namespace) for namespace in found[:10]) or "none"
        raise InvalidNamespaceError(f"a view is of one namespace; name it with --namespace; those that hold something: {there}")
    return found[0]


def view(
    mem: FluxMem,
    namespace: Namespace,
    *,
    port: int,
    browse: bool,
    limit: int,
    export: str | None,
    recalls: Sequence[str],
    json: bool = False,
) -> None:
    """Write the page to `export`, or serve it on `port` until interrupted.

    Raises:
        ConfigError: the port is taken, or the file cannot be written.
    """
    if export is not None:
        try:
            written = export_view(mem, namespace, Path(export).expanduser(), recalls=recalls, limit=limit)
        except OSError as error:
            raise ConfigError(f"cannot write {export!r}: {error.strerror or error}; name another file") from error
        show.as_json({"written": str(written)}) if json else show.out.print(f"written to {written}", markup=False, soft_wrap=True)
        return
    try:
        server = ViewServer(mem, namespace, port=port, limit=limit)
    except OSError as error:
        raise ConfigError(f"cannot serve on port {port}: {error.strerror or error}; take another with --port, or 0 for any") from error
    with server:
        if json:
            show.as_json({"namespace": ".".join(namespace), "url": server.url})
        else:
            show.out.print(f"{'.'.join(namespace)} at {server.url}", markup=False, soft_wrap=True)
        show.err.print("read-only, on this machine alone; Ctrl+C ends it", markup=False)
        if browse:
            webbrowser.open(server.url)
        try:
            server.wait()
        except KeyboardInterrupt:
            show.err.print("closed", markup=False)
