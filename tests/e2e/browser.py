"""Debian's chromium without a screen, driven over a pipe (Chrome DevTools Protocol).

What it asks of anybody, and whatever it complains about, is kept; nothing here waits without a
deadline.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.e2e.bounds import crowding
from tests.e2e.node import until

PROGRAM = shutil.which("chromium")

PATIENCE = 30.0
"""Seconds for one answer of the browser."""

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US",
    "--no-proxy-server", "--disable-features=Translate,OptimizationHints,MediaRouter",
)  # fmt: skip


class Browser:
    """One process; its pages are `Tab`s."""

    def __init__(self, directory: Path, prefix: tuple[str, ...] = ()) -> None:
        """`directory` is its own; `prefix` is the command that runs it, as in a namespace."""
        assert PROGRAM is not None
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        arguments = (*FLAGS, f"--user-data-dir={directory}", "about:blank")
        self._process = subprocess.Popen(
            # The browser reads from its descriptor 3 and writes to 4.
            (
                "bash",
                "-c",
                f'exec "$@" 3<&{commands} 4>&{answers}',
                "",
                *prefix,
                PROGRAM,
                *arguments,
            ),
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": str(directory)},
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._last = 0
        self.tabs: dict[str, Tab] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._out)
            os.close(self._in)

    def call(self, method: str, session: str | None = None, **parameters: object) -> Any:
        """What a command of the protocol answers."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        until_at = time.monotonic() + PATIENCE * crowding()
        while True:
            message = self._read(until_at - time.monotonic())
            assert message is not None, f"the browser does not answer to {method}"
            if message.get("id") == self._last:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def listen(self) -> None:
        """Take the events that have come."""
        while self._read(0) is not None:
            pass

    def open(
        self, url: str, width: int = 1280, height: int = 900, own_window: bool = False
    ) -> Tab:
        made = self.call("Target.createTarget", url="about:blank", newWindow=own_window)
        target = made["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        tab = self.tabs[attached["sessionId"]] = Tab(self, attached["sessionId"], target)
        for domain in "Page", "Runtime", "Network", "Log", "Accessibility":
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        tab.call("Page.navigate", url=url)
        tab.shows(f"location.href === {url!r} && document.readyState === 'complete'")
        return tab

    def _read(self, timeout: float) -> dict[str, Any] | None:
        """The next message; an event goes to its tab, too."""
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, timeout))[0]:
                return None
            piece = os.read(self._in, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        tab = self.tabs.get(message.get("sessionId", ""))
        if tab is not None and "method" in message:
            tab.take(message["method"], message["params"])
        return message


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self.asked: list[str] = []
        """The URLs that it asked for."""
        self.complaints: list[str] = []
        """Errors and warnings of its console, violations of its policy included."""
        self.held: list[str] = []
        """Answers that are held back, by what the browser calls them."""

    def call(self, method: str, **parameters: object) -> Any:
        return self._browser.call(method, self._session, **parameters)

    def take(self, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Fetch.requestPaused":
                self.held.append(event["requestId"])
            case "Network.requestWillBeSent":
                self.asked.append(event["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(event["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if event["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(event["args"]))
            case "Log.entryAdded" if event["entry"]["level"] in ("error", "warning"):
                entry = event["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url')}")

    def hold(self, url: str) -> None:
        """Hold back what is answered there from now on."""
        self.call("Fetch.enable", patterns=[{"urlPattern": url, "requestStage": "Response"}])

    def let_some_go(self) -> None:
        """Of what is held back up to now."""
        for request in self.held:
            self.call("Fetch.continueResponse", requestId=request)
        self.held.clear()

    def let_go(self) -> None:
        """Of all that is held back, and hold back no more."""
        self.let_some_go()
        self.call("Fetch.disable")

    def heard(self) -> list[str]:
        """The URLs that it asked for up to now."""
        self._browser.listen()
        return self.asked

    def run(self, script: str) -> Any:
        """The value of an expression, of a promise once it is kept."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, f"{script}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def shows(self, condition: str, within: float = 15.0) -> float:
        """Wait until an expression is true; the seconds that took."""
        try:
            return until(lambda: self.run(condition), within, condition)
        except AssertionError as error:
            text = self.run("document.body.innerText")
            raise AssertionError(
                f"{error}; it complains {self.complaints}, shows:\n{text}"
            ) from None

    def resize(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefer(self, **features: str) -> None:
        """Set media features, as `prefers_color_scheme="dark"`."""
        wanted = [{"name": name.replace("_", "-"), "value": features[name]} for name in features]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def press(self, key: str, code: int) -> None:
        for kind in "rawKeyDown", "keyUp":
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def accessible(self) -> list[dict[str, Any]]:
        """What a screen reader gets: role, name and the rest of each element."""
        nodes: list[dict[str, Any]] = self.call("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node.get("ignored")]

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot, of the whole page or of what is seen first."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)
        del self._browser.tabs[self._session]
