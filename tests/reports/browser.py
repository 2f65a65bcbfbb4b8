"""A real browser without a window, by its DevTools protocol over a pair of pipes: no driver, no port, no library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
# What a page is told to say of its images, when all of them have loaded or failed.
_IMAGES = """
Promise.all([...document.images].map(i => i.decode().catch(() => null)))
    .then(() => [...document.images].map(i => [i.alt, i.complete, i.naturalWidth]))
"""


def find() -> str | None:
    """The browser of this machine, if it has one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page in one browser; `said` holds what its console, its log and its network told."""

    def __init__(self, program: str, profile: Path, timeout_s: float = 60.0) -> None:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        self._out, self._in, self._timeout, self._buffer, self._number = ours_out, ours_in, timeout_s, b"", 0
        self.said: list[dict[str, Any]] = []
        # The protocol's pipes are descriptors 3 and 4: a shell puts ours there.
        pipes = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", program, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.said.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + self._timeout
        while b"\0" not in self._buffer:
            ready = select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]
            more = os.read(self._in, 1 << 20) if ready else b""
            assert more, f"the browser said nothing for {self._timeout} s, or has gone"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def open(self, page: Path) -> None:
        """Go to a file, and wait until it has loaded."""
        self.said.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.said):
            self.said.append(self._next())

    def evaluate(self, code: str) -> Any:
        """The value of JavaScript in the page, promises awaited."""
        return self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)["result"]["value"]

    def images(self) -> list[tuple[str, bool, int]]:
        """(alternative text, complete, natural width in pixels) of each image."""
        return [tuple(image) for image in self.evaluate(_IMAGES)]

    def complaints(self) -> list[str]:
        """Errors and warnings of the console and the log, and scripts' exceptions."""
        found = []
        for event in self.said:
            kind, told = event.get("method"), event.get("params", {})
            if kind == "Runtime.exceptionThrown":
                found.append(told["exceptionDetails"]["text"])
            elif kind == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
                found.append(f"console.{told['type']}")
            elif kind == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
        return found

    def requested(self) -> list[str]:
        """Every address that the page asked for, but for the data within it."""
        sent = [e["params"]["request"]["url"] for e in self.said if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def plot(self, number: int = 0) -> tuple[float, float, float, float]:
        """Left, top, width and height on the screen of a panel that answers, once it is in sight."""
        code = (
            f"(() => {{ const plot = document.querySelectorAll('.plot')[{number}];"
            "plot.scrollIntoView({block: 'center'}); const r = plot.getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]; })()"
        )
        left, top, width, height = self.evaluate(code)
        return left, top, width, height

    def mouse(self, what: str, x: float, y: float, down: bool = False) -> None:
        """Moved, Pressed or Released; with the left button, if it is down or comes up."""
        button = "left" if down or what == "Released" else "none"
        held = 1 if down else 0
        self.call("Input.dispatchMouseEvent", type=f"mouse{what}", x=x, y=y, button=button, buttons=held, clickCount=1)

    def key(self, name: str) -> None:
        """Press a key, and let it go."""
        for what in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=what, key=name)

    def tap(self, x: float, y: float) -> None:
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path, *, dark: bool, width: int = 1100) -> None:
        """The whole page as a PNG, as a light or a dark screen shows it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))
