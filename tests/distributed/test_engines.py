"""Ray Data, Spark and Dask, each run for real: what they give is what the local verb gives."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).with_name("engines.py")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "ray", "spark"])
def test_an_engine_gives_what_the_local_verb_gives(engine, saved, table_rows, tmp_path):
    package = {"spark": "pyspark"}.get(engine, engine)
    if importlib.util.find_spec(package) is None or (engine == "spark" and shutil.which("java") is None):
        pytest.skip(f"{engine} is not installed")
    data, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    table_rows.to_parquet(data)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, SCRIPT, engine, saved.folder, data, out], env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = pd.read_parquet(out).sort_values("key", ignore_index=True)
    assert found.columns.tolist() == ["key", "score"]
    assert found["key"].tolist() == table_rows["key"].tolist()
    np.testing.assert_allclose(found["score"], saved.score(table_rows), rtol=1e-5)
