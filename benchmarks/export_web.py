"""The page of an export in headless Chromium: milliseconds to decode a picture of 64 pixels a side."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import senzai
from senzai.exporting.folder import export

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CALLS = 40
TIMED = """async () => {
  const times = [];
  for (let i = 0; i < 40; i += 1) {
    code = code.map(() => 4 * Math.random() - 2);
    await decode();
    times.push(window.DECODE_MS);
  }
  return times.slice(5);
}"""


def _busy() -> float:
    """Return the processor seconds that renderers of the browser have had."""
    found = (p for p in psutil.Process().children(recursive=True) if "--type=renderer" in " ".join(p.cmdline()))
    return sum(sum(p.cpu_times()[:2]) for p in found)


def measure(*, side: int = 64, picture: str | None = None) -> dict[str, Any]:
    """Export a convolutional model of colour pictures, open the page from disk, and decode random codes."""
    from playwright.sync_api import sync_playwright

    rows = np.random.default_rng(0).integers(0, 256, (24, side, side, 3), dtype=np.uint8)
    run = senzai.fit(rows, steps=1, n_latent=16)
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as p:
        folder = export(run, Path(tmp, "page"), to="web", timed=False)
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.goto((folder / "index.html").as_uri())
        page.wait_for_function("window.READY", timeout=300_000)
        before = _busy()
        times = page.evaluate(TIMED)
        busy = 1e3 * (_busy() - before) / CALLS
        if picture is not None:
            page.screenshot(path=picture)
        browser.close()
        size = sum(f.stat().st_size for f in folder.iterdir())
    return {"side": side, "decode_ms": {"p50": statistics.median(times), "p95": float(np.percentile(times, 95))},
            "least_ms": min(times), "processor_ms": busy, "folder_bytes": size}
