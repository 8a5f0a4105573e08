"""A page over one namespace of a memory, for the person at this machine: it reads, and nothing else.

Bound to the loopback address. The page itself holds no data; every answer that does needs the token, which is made anew for each server, is
given in the fragment of the address (browsers send that to nobody) and is compared in constant time. A request for another host is refused,
so a name that was rebound to this machine reaches nothing; no answer may be framed, kept, or read by another origin.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from langgraph_fluxmem.errors import FluxMemError, UnknownIdError
from langgraph_fluxmem.explaining import RecallExplanation
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.schema import Namespace
from langgraph_fluxmem.viewing import page
from langgraph_fluxmem.viewing.picture import LIMIT, Picture, picture

HOST = "127.0.0.1"
MOST = 50
"""Facts a recall may ask for."""
LONGEST = 8_000
"""Characters of a request's path."""
_HEADERS = {
    "Content-Security-Policy": page.POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Viewer:
    """What the page may ask of one namespace."""

    def __init__(self, mem: FluxMem, namespace: Namespace, *, limit: int = LIMIT) -> None:
        self._mem = mem
        self._namespace = namespace
        self._limit = limit
        self._drawn: tuple[int, Picture] | None = None
        self._lock = threading.Lock()

    def graph(self) -> Picture:
        """The picture as of now; it is drawn again only where the namespace has changed."""
        with self._lock:
            head = self._mem.engine.ledger.head(self._namespace)
            if self._drawn is None or self._drawn[0] != head:
                self._drawn = head, picture(self._mem, self._namespace, limit=self._limit)
            return self._drawn[1]

    def head(self) -> dict[str, int]:
        """The last position that changed something in the namespace."""
        return {"head": self._mem.engine.ledger.head(self._namespace)}

    def node(self, id: str) -> dict[str, Any]:
        """The explanation of an id.

        Raises:
            UnknownIdError: nothing in this namespace is called so.
        """
        found = self._mem.explain(id, namespace=self._namespace)
        return {**found.model_dump(mode="json"), "told": str(found)}

    def recall(self, query: str, k: int, at: int | None = None) -> dict[str, Any]:
        """What comes to mind for a query, and why; with `at`, what came to mind as of that position of the log.

        Raises:
            InvalidContentError: an empty query. LedgerError: that part of the log was compacted.
        """
        past = at is not None and at < self._mem.engine.ledger.head(self._namespace)
        reader = self._mem.as_of(position=at) if past else self._mem
        found = self._mem.explain(reader.recall(query, namespace=self._namespace, k=k))
        assert isinstance(found, RecallExplanation)
        return {**found.model_dump(mode="json"), "told": str(found)}


class ViewServer:
    """A running server; `url` is what to open. Close it, or use it as a context manager."""

    def __init__(self, mem: FluxMem, namespace: Namespace, *, port: int = 0, limit: int = LIMIT) -> None:
        """Serve one namespace on `port` (0: any that is free) of the loopback address, in threads of its own.

        Raises:
            OSError: the port is taken.
        """
        self.token = secrets.token_urlsafe(32)
        viewer = Viewer(mem, namespace, limit=limit)
        self._server = _Server((HOST, port), viewer, self.token)
        self._thread = threading.Thread(target=self._server.serve_forever, name="fluxmem-view", daemon=True)
        self._thread.start()
        threading.Thread(target=viewer.graph, name="fluxmem-view-draw", daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        """The address with the token, which the page takes out of it at once."""
        return f"http://{HOST}:{self.port}/#token={self.token}"

    def wait(self) -> None:
        """Until it is closed."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], viewer: Viewer, token: str) -> None:
        self.viewer = viewer
        self.token = token.encode()
        super().__init__(address, _Handler)
        self.hosts = frozenset((f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error worth a word; anything else is told on standard error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version = "fluxmem"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer a page, its parts, or data."""
        if self.headers.get("Host") not in self.server.hosts:
            return self._say(403, "this server answers for 127.0.0.1 and localhost alone")
        if len(self.path) > LONGEST:
            return self._say(414, "the address is too long")
        asked = urlsplit(self.path)
        parts = {
            "/": ("text/html", page.page),
            "/app.js": ("text/javascript", page.script),
            "/style.css": ("text/css", page.style),
        }
        if asked.path in parts:
            kind, made = parts[asked.path]
            return self._send(200, kind, made().encode())
        if not asked.path.startswith("/api/"):
            return self._say(404, "nothing is here")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, self.server.token):
            return self._say(401, "open the address that the command printed: it holds the token")
        return self._data(asked.path, {name: values[-1] for name, values in parse_qs(asked.query).items()})

    def _data(self, path: str, asked: Mapping[str, str]) -> None:
        viewer = self.server.viewer
        try:
            found: Any
            if path == "/api/graph":
                found = viewer.graph()
            elif path == "/api/head":
                found = viewer.head()
            elif path == "/api/node":
                found = viewer.node(asked.get("id", ""))
            elif path == "/api/recall":
                k, at = asked.get("k", "10"), asked.get("at", "")
                found = viewer.recall(
                    asked.get("q", ""), min(MOST, max(1, int(k) if k.isdecimal() else 10)), int(at) if at.isdecimal() else None
                )
            else:
                return self._say(404, "nothing is here")
        except UnknownIdError as error:
            return self._say(404, str(error))
        except FluxMemError as error:
            return self._say(400, str(error))
        except Exception:
            self._say(500, "this could not be answered; what went wrong is told where the page is served from")
            raise
        return self._send(200, "application/json", json.dumps(found, ensure_ascii=False, separators=(",", ":"), default=str).encode())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the server refuses by itself: requests that are no GET, or no HTTP."""
        del explain
        self._say(405 if code == 501 else code, "this server only reads" if code == 501 else message or "refused")

    def _say(self, status: int, message: str) -> None:
        self.close_connection = True
        self._send(status, "application/json", json.dumps({"error": message}).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status == 405:
            self.send_header("Allow", "GET")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an address may hold what somebody asked."""
        del format, args
