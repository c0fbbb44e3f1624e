# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Chromium, without a screen and without a driver: its own protocol over two pipes.

``python -m tests.integration.report_support PAGE.html DIRECTORY`` takes the pictures of a report
(``make report-screens``).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


def chromium() -> str | None:
    """The browser, if there is one."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


class Browser:
    """One page of a Chromium; what it fetches and what it complains of is kept."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._number = 0
        self._read = b""
        self._events: list[dict[str, Any]] = []
        self._session = ""

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 120
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            left = max(deadline - time.monotonic(), 0)
            ready = select.select([self._back], [], [], left)[0]
            more = os.read(self._back, 1 << 20) if ready else b""
            if not more:
                raise RuntimeError("Chromium does not answer")
            self._read += more
        head, _nul, self._read = self._read.partition(b"\0")
        return json.loads(head)

    def attach(self) -> None:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def show(self, url: str, width: int, scheme: str, media: str = "") -> None:
        """Open a page as on a screen of this width."""
        self._events.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 700,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.ask("Page.navigate", url=url)
        deadline = time.monotonic() + 120
        while self.value("document.readyState") != "complete":
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url} is never complete")
            time.sleep(0.05)
        # What is fetched or complained of late.
        time.sleep(0.5)
        self.value("1")

    def value(self, expression: str) -> Any:
        """What an expression is on the page. The page itself may run nothing."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def picture(self, width: int, most: int = 6000) -> bytes:
        """The whole page, or the beginning of a long one, as PNG."""
        height = min(int(self.value("document.documentElement.scrollHeight")), most)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self.ask(
            "Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip
        )
        return base64.b64decode(answer["data"])

    def paper(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])

    @property
    def fetched(self) -> list[str]:
        """What was asked for, the page itself among it."""
        sent = (each for each in self._events if each["method"] == "Network.requestWillBeSent")
        return [each["params"]["request"]["url"] for each in sent]

    @property
    def complaints(self) -> list[str]:
        """What the console shows, exceptions and what the policy refused among it."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(each["params"]) for each in self._events if each["method"] in kinds]


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A Chromium that is ended with the block. It speaks on its descriptors 3 and 4."""
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Through a shell that gives them these numbers, whatever numbers they have here.
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        arguments = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        child = subprocess.Popen(
            ["bash", "-c", script, "bash", *arguments],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        found = Browser(ours_out, ours_in)
        try:
            found.attach()
            yield found
            found._session = ""
            with suppress(RuntimeError, OSError):
                found.ask("Browser.close")
        finally:
            os.close(ours_out)
            os.close(ours_in)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def screens(page: Path, directory: Path) -> None:
    program = chromium()
    if program is None:
        sys.exit(f"no Chromium found (looked for {', '.join(NAMES)}); say CHROMIUM=/path/to/it")
    directory.mkdir(parents=True, exist_ok=True)
    with browser(program) as chrome:
        for width in WIDTHS:
            for scheme in SCHEMES:
                chrome.show(page.resolve().as_uri(), width, scheme)
                name = directory / f"{page.stem}-{width}-{scheme}.png"
                name.write_bytes(chrome.picture(width))
                print(name)
        chrome.show(page.resolve().as_uri(), 1280, "light")
        (directory / f"{page.stem}.pdf").write_bytes(chrome.paper())


if __name__ == "__main__":
    screens(Path(sys.argv[1]), Path(sys.argv[2]))
