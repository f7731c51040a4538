"""The studio's page in headless Chromium with its software renderer: first paint, and a map of 100 000 points.

A frame is a move of the map by a few pixels, drawn and put on the canvas, one for each frame of the browser. Beside the
clock stands the processor time of all of the browser's processes, which a busy machine does not change.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from .common import machine

POINTS = 100_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
TOKEN = "a-token-for-the-benchmark"
DRAG = """async (frames) => {
  const { cloud, draw } = window.senzaiMap, times = [];
  await new Promise(requestAnimationFrame);
  const start = performance.now();
  for (let k = 0; k < frames; k++) {
    const before = performance.now();
    cloud.window.pan(4 * Math.sin(k / 9), 3 * Math.cos(k / 9));
    draw();
    times.push(performance.now() - before);
    await new Promise(requestAnimationFrame);
  }
  times.sort((a, b) => a - b);
  return { seconds: (performance.now() - start) / 1000, least: times[0], median: times[frames >> 1], n: cloud.n,
           size: [cloud.canvas.width, cloud.canvas.height] };
}"""


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return milliseconds to the first paint, frames per second and processor time of a frame."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or sys.exit("Chromium is not here.")
    frames = 20 if quick else 150
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as running:
        folder = Path(tmp) / "runs"
        trained(folder, 5000 if quick else POINTS)
        with answering(folder) as address:
            browser = running.chromium.launch(executable_path=chromium, args=list(FLAGS))
            paints, drags = [], []
            for _ in range(1 if quick else rounds):
                page = browser.new_page(viewport={"width": 1280, "height": 860})
                page.goto(f"{address}?token={TOKEN}")
                page.wait_for_selector("h1")
                paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
                page.goto(f"{address}#/run/large/map")
                page.wait_for_selector("#cloud[data-ready]", timeout=300_000)
                page.wait_for_timeout(500)
                before = processor_seconds(os.getpid())
                drag = page.evaluate(DRAG, frames)
                drag["processor_ms"] = 1000 * (processor_seconds(os.getpid()) - before) / frames
                drag["fps"] = frames / drag["seconds"]
                drags.append(drag)
                page.close()
            browser.close()
    return told(paints, drags)


def told(paints: list[float], drags: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over rounds."""

    def middle(name: str) -> float:
        return round(statistics.median(d[name] for d in drags), 2)

    return {
        "machine": machine(), "load": round(os.getloadavg()[0], 1), "rounds": len(paints), "points": drags[0]["n"],
        "canvas": drags[0]["size"], "first_paint_ms": round(statistics.median(paints), 1), "fps": middle("fps"),
        "draw_ms": middle("median"), "least_draw_ms": middle("least"), "processor_ms_a_frame": middle("processor_ms"),
    }


def trained(folder: Path, n: int) -> None:
    """Train a small run on a table of so many rows."""
    import pandas as pd

    import senzai

    rng = np.random.default_rng(0)
    group = rng.integers(0, 5, n)
    values = 3 * rng.normal(size=(5, 6))[group] + rng.normal(size=(n, 6))
    frame = pd.DataFrame(values.round(3), columns=[f"m{i}" for i in range(6)])
    frame["group"] = np.array(list("abcde"))[group]
    folder.mkdir(parents=True)
    frame.to_parquet(folder.parent / "large.parquet")
    senzai.fit(str(folder.parent / "large.parquet"), out=folder / "large", progress=False, steps=200, n_latent=3,
               sampler="none")


class answering:
    """A studio that answers inside the block."""

    def __init__(self, folder: Path) -> None:
        import uvicorn

        from senzai.studio.api import create_studio

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(create_studio(folder, token=TOKEN), log_level="error", ws="none"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join()


def processor_seconds(root: int) -> float:
    """Return the processor time of all processes below this one: the browser's."""
    parents, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid], spent[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    below, found = {root}, 0
    grown = True
    while grown:
        more = {p for p, parent in parents.items() if parent in below} - below
        grown, below = bool(more), below | more
    found = sum(spent[p] for p in below - {root})
    return found / os.sysconf("SC_CLK_TCK")
