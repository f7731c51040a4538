"""Verbs that judge or complete rows: score, impute, augment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from ...core.errors import SettingError
from .files import refuse_existing, write_rows
from .loading import read_for, run_for
from .options import Data, File, Json, Overwrite, Reading, RunFolder, Seed
from .output import Document, plain, reply
from .settings import parse_set

if TYPE_CHECKING:
    from ...data.kind import Writer


def score(
    run: RunFolder,
    data: Data,
    output: File,
    settings: Reading = None,
    method: Annotated[
        str,
        Option("--method", help="auto, elbo, nll, reconstruction, residual, [input_]knn, marginal, middle, complexity"),
    ] = "auto",
    shares: Annotated[bool, Option("--shares", help="Also what each column adds to the score.")] = False,
    contamination: Annotated[
        float | None, Option("--contamination", help="Flag rows beyond what this share of held-out rows exceeds.")
    ] = None,
    false_alarm: Annotated[
        float | None, Option("--false-alarm", help="Flag rows by conformal p-value: at most this share of normal ones.")
    ] = None,
    k: Annotated[int, Option("--k", min=1, help="Draws per row.")] = 16,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the anomaly score of each row; higher is more anomalous."""
    from ...data.frame_files import FrameWriter
    from ...runs.verbs import score as scoring

    refuse_existing(output, overwrite)
    model = run_for("score", run)
    asked = scoring.ScoreSettings(
        method=method, shares=shares, contamination=contamination, false_alarm=false_alarm, k=k, seed=seed
    )
    dataset = read_for(model, data, parse_set(settings or []))
    n = flagged = 0
    with FrameWriter(output) as writer:
        for frame in scoring.tables(model, dataset, asked):
            n += len(frame)
            flagged += int(frame["anomaly"].sum()) if "anomaly" in frame else 0
            writer.write(frame)
    document: Document = {"out": str(output), "n": n, "method": method, "anomalies": flagged if asked.flags else None}
    told = f"; {flagged:,} of them are flagged" if asked.flags else ""
    reply(as_json, document, f"{n:,} scores are in {plain(output)}{told}")


def impute(
    run: RunFolder,
    data: Data,
    output: File,
    settings: Reading = None,
    draws: Annotated[
        int | None, Option("--draws", min=1, help="So many draws, one below the other, instead of one best answer.")
    ] = None,
    k: Annotated[int, Option("--k", min=1, help="Latents drawn for each row.")] = 100,
    seed: Seed = 0,
    where: Annotated[
        str | None, Option("--where", help="Of pictures: 8:20,4:16 (rows, columns), grid:2, or a file, white the hole.")
    ] = None,
    refine: Annotated[
        int | None, Option("--refine", min=0, help="Of pictures: steps on the bound of what is seen of each row.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the data with missing entries filled in; what was there stays as it is."""
    from ...runs.verbs import impute as filling

    refuse_existing(output, overwrite)
    model = run_for("impute", run)
    dataset = read_for(model, data, parse_set(settings or []))
    writer = dataset.kind.writer(output, dataset.schema)
    if writer is None:
        if draws:
            raise SettingError("Several draws are written for tables only. Leave --draws out, or use run.impute.")
        made = model.impute(dataset, k=k, seed=seed, where=where, refine=refine)
        write_rows(made, output, dataset.schema)
        n = len(made)
    else:
        if where is not None or refine is not None:
            raise SettingError("--where and --refine are for pictures. Leave them out: what is missing is filled in.")
        n = _write_pieces(filling.pieces(model, dataset, draws=draws, k=k, seed=seed), writer, numbered=bool(draws))
    document: Document = {"out": str(output), "n": n, "draws": draws, "k": k, "seed": seed}
    reply(as_json, document, f"{n:,} completed rows are in {plain(output)}")


def _write_pieces(pieces: Any, file: Writer, *, numbered: bool) -> int:
    n = 0
    with file as writer:
        for frames in pieces:
            for m, frame in enumerate(frames):
                writer.write(frame.assign(imputation=m) if numbered else frame)
                n += len(frame)
    return n


def augment(
    run: RunFolder,
    column: Annotated[str, Option("--column", help="Column with the rare value.", show_default=False)],
    value: Annotated[str, Option("--value", help="The rare value.", show_default=False)],
    output: File,
    n: Annotated[int, Option("-n", "--number", min=1, help="How many new rows.")] = 100,
    data: Annotated[str | None, Option("--data", help="The training data, where they are somewhere else now.")] = None,
    settings: Reading = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write more rows with a rare value, drawn around training rows that have it and no others."""
    refuse_existing(output, overwrite)
    model = run_for("augment", run)
    dataset = read_for(model, model.source(data), parse_set(settings or []))
    made = model.augment(column, value, n, data=dataset, seed=seed)
    write_rows(made, output, model.schema)
    document: Document = {"out": str(output), "n": n, "column": column, "value": value, "seeds": made.attrs["seeds"]}
    reply(as_json, document, f"{n:,} rows like {made.attrs['seeds']:,} training rows are in {plain(output)}")
