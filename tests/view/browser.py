"""One headless Chromium, spoken to over a pipe by its own protocol: nothing to install but the browser."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--force-device-scale-factor=1",
    "--remote-debugging-pipe",
)
KEYS = {"Escape": 27, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def chromium() -> str | None:
    """Where the browser is, if there is one."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


class Browser:
    """A browser with one page. `problems` are exceptions and violations the page told of."""

    def __init__(self, width: int = 1360, height: int = 860) -> None:
        program = chromium()
        assert program is not None
        self._profile = tempfile.mkdtemp(prefix="fluxmem-view-")
        theirs, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        script = 'exec "$0" "$@" 3<&%d 4>&%d' % (theirs, theirs_out)
        self._process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                script,
                program,
                *FLAGS,
                f"--window-size={width},{height}",
                f"--user-data-dir={self._profile}",
                "about:blank",
            ],
            pass_fds=(theirs, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(theirs_out)
        self._out, self._in = ours_out, ours_in
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.problems: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._profile, ignore_errors=True)

    # ------------------------------------------------------------------------------------------------------------------- protocol
    def call(self, method: str, **params: Any) -> Any:
        """Answer of one command."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next(30.0)
            if told is None:
                raise TimeoutError(f"{method} has no answer")
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]
            self._hear(told)

    def _hear(self, told: dict[str, Any]) -> None:
        method, params = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.problems.append(f"dialog: {params['message']}")

    def _next(self, seconds: float) -> dict[str, Any] | None:
        until = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            got = os.read(self._in, 1 << 20)
            if not got:
                raise ConnectionError("the browser is gone")
            self._buffer += got
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    # ----------------------------------------------------------------------------------------------------------------------- page
    def open(self, url: str, ready: str = "document.documentElement.dataset.ready === 'yes'") -> None:
        """Go to an address and wait until it is ready."""
        self.call("Page.navigate", url=url)
        if ready:
            self.until(ready)

    def run(self, code: str) -> Any:
        """Value of an expression; a promise is awaited.

        Raises:
            RuntimeError: it threw.
        """
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", answer["exceptionDetails"]["text"]))
        return answer["result"].get("value")

    def until(self, code: str, seconds: float = 25.0) -> None:
        """Wait until an expression holds; it is asked again with each frame the page draws."""
        body = f"new Promise((yes, no) => {{ const end = performance.now() + {seconds * 1000}; const ask = () => {{ let held = false; try {{ held = Boolean({code}); }} catch (e) {{ held = false; }} held ? yes(true) : performance.now() > end ? no(new Error('never came true: ' + {json.dumps(code)})) : setTimeout(ask, 15); }}; ask(); }})"
        try:
            self.run(body)
        except RuntimeError as error:
            if "navigat" not in str(error) and "context" not in str(error):
                raise RuntimeError(f"{error}; the page said: {self.problems}") from None
            self.run(body)

    def key(self, name: str) -> None:
        """Press and release a key."""
        code = KEYS.get(name, ord(name.upper()[0]))
        text = "\r" if name == "Enter" else name if len(name) == 1 else ""
        pressed: dict[str, Any] = {"key": name, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def picture(self, path: Path) -> None:
        """A screenshot as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
