"""A server as one writes it in ten lines, for comparison: one request, one frame, one forward.

``python -m benchmarks.naive RUN PORT``.
"""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import senzai


class Rows(BaseModel):
    """What is asked."""

    data: list[dict[str, Any]]


def make(folder: str) -> FastAPI:
    """Return the application."""
    run, app = senzai.load(folder), FastAPI()

    @app.post("/encode")
    def encode(rows: Rows) -> dict[str, Any]:
        return {"codes": run.encode(pd.DataFrame(rows.data)).to_numpy().tolist()}

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvicorn.run(make(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning")
