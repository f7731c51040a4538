"""Verbs that use a run: sample, encode, reconstruct, interpolate, traverse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ...core.errors import InputError, SettingError
from .describing import changed
from .files import in_form_for, refuse_existing, write_codes, write_rows
from .loading import read_for, run_for
from .options import Data, Decoding, File, Given, Json, Overwrite, PointSeed, Reading, RunFolder
from .output import plain, reply
from .settings import parse_given, parse_set

if TYPE_CHECKING:
    from ...data.kind import Writer
    from ...runs import Run

ROW = "First row of data, or DATA:ROW for another one (counted from 0)."


def sample(
    run: RunFolder,
    output: File,
    n: Annotated[int, Option("-n", "--number", min=1, help="How many rows.")] = 100,
    seed: Annotated[int | None, Option("--seed", min=0, help="Seed of the draws; by default a new one.")] = None,
    temperature: Annotated[
        float, Option("--temperature", help="Below 1, latents lie nearer to the modes of the prior.")
    ] = 1.0,
    noise: Annotated[
        bool | None, Option("--noise/--no-noise", help="Draw from the likelihood too; by default, not for images.")
    ] = None,
    given: Given = None,
    sampler: Annotated[
        str, Option("--sampler", help="What latents are drawn from: prior, one fitted after training, or auto.")
    ] = "auto",
    guidance: Annotated[
        float | None, Option("--guidance", min=0, help="Weight of what is given, for samplers that can be guided.")
    ] = None,
    decoding: Decoding = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make new rows in the form of the training data."""
    import secrets

    from ...runs.verbs import stream as streams
    from ...runs.verbs.sample import drawing

    refuse_existing(output, overwrite)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    model = run_for("sample", run)
    wanted = parse_given(given or [])
    about: dict[str, Any] = {}
    writer = model.kind.writer(output, model.schema)
    if writer is not None:
        with_noise = model.kind.shows == "draws" if noise is None else noise
        under = drawing(model, sampler, guidance)
        pieces = streams.samples(
            under, model.schema, n, wanted, seed=chosen, noise=with_noise, temperature=temperature
        )
        shape, about = _write_frames(pieces, writer)
    else:
        new = model.sample(
            n, seed=chosen, noise=noise, temperature=temperature, given=wanted, sampler=sampler, guidance=guidance,
            decoding=parse_set(decoding or []),
        )
        write_rows(new, output, model.schema)
        shape = _shape(new)
    document = {"out": str(output), "n": n, "seed": chosen, "temperature": temperature, "shape": shape, **about}
    document |= {"sampler": model.samplers.resolve(sampler)} | ({"given": wanted} if wanted else {})
    again = "" if seed is not None else f" The same again: --seed {chosen}"
    if "ess" in about:
        again += f" They were resampled; the effective sample size is {about['ess']:,.0f}."
    reply(as_json, document, f"{n:,} new rows, drawn from the {document['sampler']}, are in {plain(output)}.{again}")


def encode(
    run: RunFolder, data: Data, output: File, settings: Reading = None, seed: PointSeed = None,
    overwrite: Overwrite = False, as_json: Json = False,
) -> None:
    """Write the latent code of each row: the posterior's mean, or a draw with --seed."""
    from ...runs.verbs import stream as streams

    refuse_existing(output, overwrite)
    model = run_for("encode", run)
    dataset = in_form_for(read_for(model, data, parse_set(settings or [])), output)
    if output.suffix.lower() in dataset.kind.beside:
        write_rows(model.encode(dataset, seed=seed), output, dataset.schema)
        n, width = len(dataset), model.spec.settings.get("n_latent")
    elif output.suffix.lower() in (".csv", ".tsv", ".parquet"):
        from ...data.frame_files import FrameWriter

        (n, width), _ = _write_frames(streams.codes(model, dataset, seed=seed), FrameWriter(output))
    else:
        codes = model.encode(dataset, seed=seed)
        write_codes(codes, output)
        n, width = _shape(codes)
    document = {"out": str(output), "n": n, "n_latent": width, "seed": seed}
    reply(as_json, document, f"{n:,} codes{f' of {width} numbers' if width else ''} are in {plain(output)}")


def reconstruct(
    run: RunFolder, data: Data, output: File, settings: Reading = None, seed: PointSeed = None,
    decoding: Decoding = None, overwrite: Overwrite = False, as_json: Json = False,
) -> None:
    """Write each row as the model sees it, after its way through the latent code."""
    from ...runs.verbs import stream as streams

    refuse_existing(output, overwrite)
    model = run_for("reconstruct", run)
    dataset = read_for(model, data, parse_set(settings or []))
    writer = dataset.kind.writer(output, dataset.schema)
    if writer is not None:
        shape, _ = _write_frames(streams.reconstructions(model, dataset, seed=seed), writer)
    else:
        again = model.reconstruct(dataset, seed=seed, decoding=parse_set(decoding or []))
        write_rows(again, output, dataset.schema)
        shape = _shape(again)
    document = {"out": str(output), "n": len(dataset), "shape": shape, "seed": seed}
    reply(as_json, document, f"{len(dataset):,} reconstructed rows are in {plain(output)}")


def predict(
    run: RunFolder, data: Data, output: File, settings: Reading = None, seed: PointSeed = None,
    overwrite: Overwrite = False, as_json: Json = False,
) -> None:
    """Write the probability of each class of each row, or rows with the part predicted that the model is about."""
    from ...models.structured import Structured

    refuse_existing(output, overwrite)
    model = run_for("predict", run)
    dataset = read_for(model, data, parse_set(settings or []))
    found = model.predict(dataset, seed=seed)
    if isinstance(model.model, Structured):
        write_rows(found, output, dataset.schema)
        said = f"{len(dataset):,} rows with the predicted part are in {plain(output)}"
        reply(as_json, {"out": str(output), "n": len(dataset), "shape": _shape(found), "seed": seed}, said)
        return
    classes = [] if model.schema.label is None else list(model.schema.label.classes)
    write_codes(found, output, [str(c) for c in classes])
    said = f"{len(dataset):,} rows of {len(classes)} probabilities are in {plain(output)}"
    reply(as_json, {"out": str(output), "n": len(dataset), "classes": classes}, said)


def interpolate(
    run: RunFolder,
    a: Annotated[str, Argument(metavar="A", help=f"Start. {ROW}", show_default=False)],
    b: Annotated[str, Argument(metavar="B", help="End, likewise.", show_default=False)],
    output: File,
    settings: Reading = None,
    steps: Annotated[int, Option("--steps", min=2, help="Rows on the way, both ends included.")] = 8,
    decoding: Decoding = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the path from one row to another through the latent space."""
    refuse_existing(output, overwrite)
    model = run_for("interpolate", run)
    first, last = (row_of(model, end, parse_set(settings or [])) for end in (a, b))
    way = model.interpolate(first, last, steps=steps, decoding=parse_set(decoding or []))
    write_rows(way, output, model.schema)
    found, lines = changed(way)
    document = {"out": str(output), "a": a, "b": b, "steps": steps, "shape": _shape(way), **found}
    reply(as_json, document, f"{steps} rows from {plain(a)} to {plain(b)} are in {plain(output)}", *lines)


def traverse(
    run: RunFolder,
    data: Annotated[str, Argument(metavar="DATA", help=ROW, show_default=False)],
    dim: Annotated[int, Option("--dim", help="Latent dimension, counted from 0.")],
    output: File,
    settings: Reading = None,
    values: Annotated[str | None, Option("--values", help="Values it is set to; by default -3 to 3.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write one row with one latent dimension set to several values, to see what it does."""
    from ...distributions.spaces import Real
    from ...models.base import latent_model

    refuse_existing(output, overwrite)
    model = run_for("traverse", run)
    places = tuple((latent_model(model.model).spaces or (Real(),))[0].steps()) if values is None else _numbers(values)
    moved = model.traverse(row_of(model, data, parse_set(settings or [])), dim=dim, values=places)
    write_rows(moved, output, model.schema)
    found, lines = changed(moved)
    document = {"out": str(output), "dim": dim, "values": list(places), "shape": _shape(moved), **found}
    reply(as_json, document, f"{len(places)} rows with latent {dim} moved are in {plain(output)}", *lines)


def row_of(run: Run, text: str, options: dict[str, Any]) -> Any:
    """Return ``DATA``, or the one row that ``DATA:ROW`` names, as it was read: with its holes and its condition.

    Raises:
        InputError: There is no such row.
    """
    source, colon, row = text.rpartition(":")
    if not colon or not row.isdecimal() or os.path.exists(text):
        return read_for(run, text, options)
    dataset = read_for(run, source, options)
    if int(row) >= len(dataset):
        raise InputError(f"{source!r} has the rows 0 … {len(dataset) - 1}, but got {text!r}. Choose one of them.")
    return dataset.take([int(row)])


def _write_frames(pieces: Any, file: Writer) -> tuple[list[int], dict[str, Any]]:
    """Write frames as they come; return the shape of all, and what the last one says of itself."""
    n = width = 0
    about: dict[str, Any] = {}
    with file as writer:
        for frame in pieces:
            writer.write(frame)
            n, width, about = n + len(frame), len(frame.columns), dict(frame.attrs)
    return [n, width], about


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"--values are numbers and commas, but got {text!r}. Write --values -2,0,2") from None


def _shape(rows: Any) -> list[int]:
    """Return the shape of rows; of rows that are no array, how many there are."""
    return [int(n) for n in getattr(rows, "shape", (len(rows),))]
