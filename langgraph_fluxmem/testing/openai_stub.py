"""A local server that speaks enough of the OpenAI chat API for `ChatOpenAI(base_url=...)`: valid, malformed, slow, limited, cut off answers,
whole or streamed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: `arguments` of the tool asked for (a dict, or text as it is), or `content`; `status` other than 200 is an error.

    ``hang=True`` answers only when the server closes. ``finish`` is the finish_reason (``"length"``: cut off). `tool` names the tool that is
    called (None: the first one offered).
    """

    arguments: dict[str, Any] | str | None = None
    content: str | None = None
    status: int = 200
    finish: str = "tool_calls"
    hang: bool = False
    tool: str | None = None


Script = Callable[[str, dict[str, Any]], Reply]
"""(name of the tool asked for, body of the request) -> the answer."""


@dataclass
class OpenAIStub:
    """Use it as a context manager; `url` is the base URL, `requests` the bodies received."""

    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What `ChatOpenAI(base_url=...)` takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(status, body) for a request; records it."""
        self.requests.append(body)
        tools = body.get("tools") or []
        name = tools[0]["function"]["name"] if tools else ""
        reply = self.script(name, body)
        if reply.hang:
            self._closing.wait()
        if reply.status != 200:
            return reply.status, {"error": {"message": "scripted", "type": "scripted", "code": str(reply.status)}}
        message: dict[str, Any] = {"role": "assistant", "content": reply.content}
        if reply.arguments is not None:
            text = reply.arguments if isinstance(reply.arguments, str) else json.dumps(reply.arguments)
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": reply.tool or name, "arguments": text}}]
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish}
        return 200, {"id": "stub", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice], "usage": usage}


def _events(answer: dict[str, Any]) -> bytes:
    """An answer as server-sent events: its text in pieces of a word, its tool calls in one, what it used at the end."""
    (choice,) = answer["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in re.findall(r"\S+\s*|\s+", message["content"] or "")]
    if "tool_calls" in message:
        deltas.append({"tool_calls": [{"index": index, **call} for index, call in enumerate(message["tool_calls"])]})
    shared = {**answer, "object": "chat.completion.chunk", "usage": None}
    chunks = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    chunks.append({**shared, "choices": [], "usage": answer["usage"]})
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def _handler(stub: OpenAIStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = stub.answer(body)
            streamed = status == 200 and bool(body.get("stream"))
            data = _events(answer) if streamed else json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):  # the client did not wait
                return

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    return Handler
