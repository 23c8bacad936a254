"""A page looked at by a real browser: Chromium over the DevTools protocol, at true widths.

``python tests/report/browser.py PAGE.html [WIDTH ...]`` prints what is wrong, and with ``--shots FOLDER`` keeps pictures.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.websocket import websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
INSPECT = """(async () => {
  for (const box of document.querySelectorAll('details')) box.open = true;
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const wide = [...document.body.querySelectorAll('*')]
    .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > window.innerWidth + 1)
    .slice(0, 5).map(e => e.tagName + '.' + (e.className.baseVal ?? e.className));
  return {
    width: window.innerWidth, scroll: document.documentElement.scrollWidth, wide,
    height: document.documentElement.scrollHeight,
    broken: [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.alt),
    images: document.images.length, charts: document.querySelectorAll('svg.chart').length,
    nameless: [...document.images].filter(i => !i.alt.trim()).length + [...document.querySelectorAll('svg.chart')]
      .filter(chart => !document.getElementById(chart.getAttribute('aria-labelledby'))).length,
    ids: [...document.querySelectorAll('[id]')].map(e => e.id).filter((id, at, all) => all.indexOf(id) !== at).slice(0, 5),
    dead: [...document.querySelectorAll('a[href^="#"]')].map(a => a.hash).filter(hash => !document.querySelector(hash)),
  };
})()"""


SHOWN = """(() => ({
  cards: [...document.querySelectorAll('.patient .card')].filter(c => getComputedStyle(c).display != 'none')
    .map(c => c.querySelector('b').textContent),
  focused: document.activeElement.getAttribute('aria-label') || '',
  outline: (e => e ? getComputedStyle(e).outlineStyle : 'none')(document.activeElement.closest('.patient')),
  inside: [...document.querySelectorAll('.patient .card')].every(c => c.getBoundingClientRect().right <= window.innerWidth + 1),
}))()"""


@dataclass
class Look:
    """What the browser found at one width. problems : in words; empty where all is well."""

    width: int
    facts: dict[str, Any]
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        found = []
        if self.facts["width"] != self.width:
            found.append(f"the browser shows {self.facts['width']} px, not {self.width}")
        if self.facts["scroll"] > self.width:
            found.append(f"scrolls sideways at {self.width} px: content is {self.facts['scroll']} px wide ({self.facts['wide']})")
        found += [f"image not decoded: {alt}" for alt in self.facts["broken"]]
        found += [f"console: {text}" for text in self.console]
        found += [f"asks for {url}" for url in self.requests]
        if self.facts["nameless"]:
            found.append(f"{self.facts['nameless']} pictures without a text alternative")
        found += [f"id used twice: {name}" for name in self.facts["ids"]]
        found += [f"link to nowhere: {name}" for name in self.facts["dead"]]
        return found


def find_browser() -> str | None:
    """$CHROMIUM, else a browser of the system, else None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    return next((path for name in (*NAMES, *MAC) if (path := shutil.which(name))), None)


def look_at(
    page: Path, widths: tuple[int, ...] = (1280, 390), shots: Path | None = None, browser: str | None = None
) -> list[Look]:
    """Open a page at every width; screenshots of the whole page go to ``shots``, and a PDF of its print."""
    browser = browser or find_browser()
    if browser is None:
        raise FileNotFoundError("no browser found; set CHROMIUM")
    return _with_browser(browser, lambda address: _visit(address, page.resolve().as_uri(), widths, shots))


def _with_browser(browser: str, visit: Callable[[str], Coroutine[Any, Any, Any]]) -> Any:
    """Start a browser of our own, hand its address to ``visit``, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            address = _address(Path(profile) / "DevToolsActivePort", process)
            return asyncio.run(visit(address))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)  # the group this function started, and nothing else
            process.wait()


def patients_at(page: Path, width: int, browser: str) -> dict[str, dict[str, Any]]:
    """What the plot by patient shows, at rest, with the pointer on its third row, after Tab and two arrow keys, and in print:
    names on the visible cards, what has the focus, its outline, and whether the cards lie inside the window."""

    async def visit(address: str) -> dict[str, dict[str, Any]]:
        wire = _Wire(await websocket_connect(address, max_message_size=1 << 28))
        target = (await wire.ask("Target.createTarget", url="about:blank"))["targetId"]
        session = (await wire.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime"):
            await wire.ask(f"{domain}.enable", session)
        await wire.ask("Emulation.setDeviceMetricsOverride", session, width=width, height=900, deviceScaleFactor=1, mobile=False)
        wire.events.clear()
        await wire.ask("Page.navigate", session, url=page.resolve().as_uri())
        await wire.until("Page.loadEventFired")

        async def run(expression: str) -> Any:
            found = await wire.ask("Runtime.evaluate", session, expression=expression, returnByValue=True)
            return found["result"].get("value")

        async def press(key: str, code: int) -> None:
            for kind in ("keyDown", "keyUp"):
                await wire.ask("Input.dispatchKeyEvent", session, type=kind, key=key, code=key, windowsVirtualKeyCode=code)

        found = {"rest": await run(SHOWN)}
        x, y = await run(
            "(() => { document.documentElement.style.scrollBehavior = 'auto'; const e = document.querySelectorAll('.patient')[2];"
            "e.scrollIntoView({block: 'center'}); const q = e.getBoundingClientRect(); return [q.x + q.width * 0.3, q.y + q.height / 2] })()"
        )
        await wire.ask("Input.dispatchMouseEvent", session, type="mouseMoved", x=x, y=y)
        found["pointed"] = await run(SHOWN)
        await wire.ask("Input.dispatchMouseEvent", session, type="mouseMoved", x=1, y=1)
        await run("document.querySelector('#whom .scroll').focus({preventScroll: true})")
        await press("Tab", 9)
        for _ in range(2):
            await press("ArrowDown", 40)
        found["keyed"] = await run(SHOWN)
        await wire.ask("Emulation.setEmulatedMedia", session, media="print")
        found["printed"] = await run(SHOWN)
        wire.socket.close()
        return found

    return _with_browser(browser, visit)


def _address(port_file: Path, process: subprocess.Popen[bytes], patience_s: float = 60) -> str:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the browser ended at once with status {process.returncode}")
        if port_file.exists() and len(lines := port_file.read_text().split()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise TimeoutError("the browser did not open its port")


class _Wire:
    """One websocket: commands answered by id, events in a list."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.number, self.events = socket, 0, []

    async def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        await self.socket.write_message(json.dumps(message))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.read_message(), 60))
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    async def until(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(json.loads(await asyncio.wait_for(self.socket.read_message(), 60)))


async def _visit(address: str, url: str, widths: tuple[int, ...], shots: Path | None) -> list[Look]:
    wire = _Wire(await websocket_connect(address, max_message_size=1 << 28))
    looks = []
    for width in widths:
        target = (await wire.ask("Target.createTarget", url="about:blank"))["targetId"]
        session = (await wire.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await wire.ask(f"{domain}.enable", session)
        phone = width < 600
        await wire.ask("Emulation.setDeviceMetricsOverride", session, width=width, height=844 if phone else 900,
                       deviceScaleFactor=2 if phone else 1, mobile=phone)  # fmt: skip
        wire.events.clear()
        await wire.ask("Page.navigate", session, url=url)
        await wire.until("Page.loadEventFired")
        answer = await wire.ask("Runtime.evaluate", session, expression=INSPECT, awaitPromise=True, returnByValue=True)
        if "value" not in answer["result"]:
            raise RuntimeError(f"the page could not be inspected: {answer}")
        facts = answer["result"]["value"]
        looks.append(Look(width, facts, _console(wire.events), _requests(wire.events, url)))
        if shots:
            shots.mkdir(parents=True, exist_ok=True)
            clip = {"x": 0, "y": 0, "width": width, "height": facts["height"], "scale": 1}
            picture = await wire.ask("Page.captureScreenshot", session, captureBeyondViewport=True, clip=clip)
            (shots / f"{width}.png").write_bytes(base64.b64decode(picture["data"]))
        if shots and width == widths[0]:
            pdf = await wire.ask("Page.printToPDF", session, preferCSSPageSize=True, printBackground=False)
            (shots / "print.pdf").write_bytes(base64.b64decode(pdf["data"]))
        await wire.ask("Target.closeTarget", targetId=target)
    wire.socket.close()
    return looks


def _console(events: list[dict[str, Any]]) -> list[str]:
    found = []
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            found.append(str(params["exceptionDetails"].get("text")))
        elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            found.append(" ".join(str(item.get("value", item.get("description"))) for item in params["args"]))
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
    return found


def _requests(events: list[dict[str, Any]], own: str) -> list[str]:
    asked = [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]
    return [url for url in asked if url.split("#")[0] != own and not url.startswith("data:")]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    folder = Path(arguments.pop(at + 1)) if "--shots" in arguments and (at := arguments.index("--shots")) >= 0 else None
    arguments = [argument for argument in arguments if argument != "--shots"]
    seen = look_at(Path(arguments[0]), tuple(map(int, arguments[1:])) or (1280, 390), folder)
    for one in seen:
        print(one.width, "px:", "; ".join(one.problems) or "nothing wrong", one.facts)
    sys.exit(any(one.problems for one in seen))
