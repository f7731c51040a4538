"""Scores rows with an engine in a process of its own: ``python engines.py ENGINE RUN ROWS.parquet OUT.parquet``."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from senzai.distributed import map_batches


def dask(f, rows):
    import dask
    import dask.dataframe as frames

    given = frames.from_pandas(rows, npartitions=3)
    with dask.config.set(scheduler="processes", num_workers=1):
        return given.map_partitions(f, meta=f.meta(rows[:3])).compute()


def ray(f, rows):
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
             object_store_memory=100_000_000)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        given = ray.data.from_pandas(rows).repartition(3)
        both = [
            given.map_batches(f, batch_format=form, batch_size=32).to_pandas().sort_values("key", ignore_index=True)
            for form in ("numpy", "pyarrow")
        ]
        pd.testing.assert_frame_equal(both[0], both[1], check_dtype=False)
        return both[0]
    finally:
        ray.shutdown()


def spark(f, rows):
    import pyarrow as pa
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    session = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "512m").config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1").getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    try:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        given = session.createDataFrame(rows).repartition(3)
        found = given.mapInArrow(f, from_arrow_schema(f.schema(table[:3])))
        return pd.DataFrame([r.asDict() for r in found.collect()])
    finally:
        session.stop()


if __name__ == "__main__":
    engine, run, data, out = sys.argv[1:]
    made = {"dask": dask, "ray": ray, "spark": spark}[engine](
        map_batches(Path(run), "score", keep=["key"]), pd.read_parquet(data)
    )
    made.to_parquet(out)
