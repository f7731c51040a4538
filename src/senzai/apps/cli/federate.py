"""Commands for rows at several sites: federate server, client and simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from .options import Data, Json, Overwrite, Private, PublicSchema, Quiet, Seed, Set, place
from .output import console, plain, reply, table
from .settings import parse_set, private_settings

app = typer.Typer(help="Train at several sites together: rows stay, parameters cross.", no_args_is_help=True,
                  rich_markup_mode="rich")

Out = Annotated[Path, Option("--out", metavar="RUN", help="A new folder for the run.", callback=place)]
Recipe = Annotated[str | None, Option("--recipe", help="Name in `senzai recipes`; by default by the data.")]
Rounds = Annotated[int, Option("--rounds", min=1, help="How often the sites train and the server averages.")]
Steps = Annotated[int, Option("--local-steps", min=1, help="Optimiser steps of a site in a round.")]
Strategy = Annotated[str, Option("--strategy", help="fedavg, fedprox, fedadam or trimmed-mean.")]
Secure = Annotated[bool, Option("--secure", help="Secure aggregation: the server sees the mean alone.")]
How = Annotated[
    list[str] | None,
    Option("--how", metavar="KEY=VALUE", help="A setting of the federation: mu, min_sites, bound, own ...; repeat."),
]
Site = Annotated[
    str | None, Option("--site-column", metavar="NAME", help="Add a column with the site's name, to generate by.")
]
Insist = Annotated[
    list[str] | None,
    Option("--private", metavar="KEY=VALUE",
           help="Take part only where the privacy of rows costs no more: epsilon=3, delta=1e-5; needs --state."),
]
Condition = Annotated[str | None, Option("--condition", metavar="NAMES", help="Columns to generate by.")]


def _told(
    how: list[str] | None, rounds: int, steps: int, strategy: str, secure: bool, site: str | None,
    private: list[str] | None,
) -> dict[str, Any]:
    found = {"rounds": rounds, "local_steps": steps, "strategy": strategy, "secure": secure, "site_column": site}
    if secure:
        found["min_sites"] = 3
    return {**found, **parse_set(how or []), **private_settings(private or [])}


def _given(settings: list[str] | None, condition: str | None, schema: Path | None) -> dict[str, Any]:
    given = parse_set(settings or []) | ({"condition": condition} if condition else {})
    return given | ({} if schema is None else {"public": str(schema)})


def _budget(private: list[str] | None) -> dict[str, Any] | None:
    found = {k.partition(".")[2]: v for k, v in private_settings(private or []).items()}
    return found or None


def _hear(quiet: bool) -> Any:
    err = console(error=True)

    def hear(line: dict[str, Any]) -> None:
        if quiet:
            return
        from ...federated.page import told

        err.print(f"round {line['round']}: {told(line)}", style="dim", markup=False)
        for site in line["sites"]:
            if site["why"] or site["shortened"]:
                why = site["why"] or f"its update of {site['norm']:.4g} was shortened"
                err.print(f"  {site['name']}: {why}", style="yellow", markup=False)

    return hear


def _done(run: Any, out: Path, as_json: bool) -> None:
    from ...federated.state import folder_of

    facts = run.metrics["federated"]
    shown = {
        "sites": f"{facts['sites']}, {sum(facts['rows'].values())} rows", "rounds": facts["rounds"],
        "strategy": facts["strategy"], "crossed": f"{facts['sent']:,} bytes out, {facts['received']:,} back",
        "pages": str(folder_of(out)), "run": str(out),
    }
    if facts["epsilon"] is not None:
        shown["privacy of sites"] = f"ε = {facts['epsilon']:.3g} at δ = {facts['delta']:g}"
    if facts["epsilon_of_rows"] is not None:
        told = f"ε = {facts['epsilon_of_rows']:.3g} at δ = {facts['delta_of_rows']:.3g}"
        shown["privacy of rows"] = f"{told}; see `info`"
    document = {**run.metrics["fit"], "federated": facts, "pages": str(folder_of(out))}
    reply(as_json, document, "[bold]Trained together[/]", table(shown), "[bold]Next[/]",
          f"  senzai sample {plain(out)} -n 10 -o new.csv")


@app.command(epilog="Example\n\n  senzai federate simulate people.csv --sites 10 --by occupation --out runs/people")
def simulate(
    data: Data,
    out: Out,
    sites: Annotated[int, Option("--sites", min=2, help="How many sites the table is divided into.")] = 3,
    by: Annotated[
        str | None, Option("--by", metavar="COLUMN", help="Divide by its values, so that sites differ.")
    ] = None,
    recipe: Recipe = None,
    rounds: Rounds = 20,
    local_steps: Steps = 100,
    strategy: Strategy = "fedavg",
    secure: Secure = False,
    site_column: Site = None,
    condition: Condition = None,
    private: Private = None,
    schema: PublicSchema = None,
    how: How = None,
    settings: Set = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Divide a table among sites in this process, and train as they would."""
    from ...federated import simulate as go

    run = go(
        data, out=out, sites=sites, by=by, recipe=recipe, settings=_given(settings, condition, schema), seed=seed,
        federation=_told(how, rounds, local_steps, strategy, secure, site_column, private), overwrite=overwrite,
        announce=_hear(quiet),
    )
    _done(run, out, as_json)


@app.command(epilog="Example\n\n  senzai federate server --out runs/people --how sites=3")
def server(
    out: Out,
    host: Annotated[str, Option("--host", help="Address; others than this machine need a certificate.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", min=0, max=65535, help="Port; 0 takes one that is free.")] = 9092,
    certificate: Annotated[Path | None, Option("--certificate", help="Certificate as PEM.", callback=place)] = None,
    key: Annotated[Path | None, Option("--key", help="Its key as PEM.", callback=place)] = None,
    allow: Annotated[
        list[Path] | None, Option("--allow", metavar="FILE", help="Public key of a site that may come; repeat.")
    ] = None,
    kind: Annotated[str, Option("--kind", help="Kind of the data at the sites.")] = "table",
    recipe: Recipe = None,
    rounds: Rounds = 20,
    local_steps: Steps = 100,
    strategy: Strategy = "fedavg",
    secure: Secure = False,
    site_column: Site = None,
    condition: Condition = None,
    private: Private = None,
    schema: PublicSchema = None,
    how: How = None,
    settings: Set = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Wait for sites, let them train together, and write the run; started again, it goes on where it was."""
    from ...federated import serve

    err = console(error=True)
    run = serve(
        out=out, host=host, port=port, certificate=certificate, key=key, allowed=allow or (), recipe=recipe, kind=kind,
        settings=_given(settings, condition, schema), overwrite=overwrite, announce=_hear(quiet),
        federation=_told(how, rounds, local_steps, strategy, secure, site_column, private),
        started=lambda address: err.print(f"Sites can come to {address}", markup=False),
    )
    _done(run, out, as_json)


@app.command(epilog="Example\n\n  senzai federate client people.csv --server server.org:9092 --name north --ca ca.pem")
def client(
    data: Data,
    server: Annotated[str, Option("--server", metavar="HOST:PORT", help="Where the server is.")],
    name: Annotated[str, Option("--name", help="What this site is called; every site needs a name of its own.")],
    ca: Annotated[
        Path | None, Option("--ca", help="Certificate that signed the server's, as PEM.", callback=place)
    ] = None,
    key: Annotated[Path | None, Option("--key", help="Private key the server knows.", callback=place)] = None,
    out: Annotated[
        Path | None, Option("--out", metavar="RUN", help="A new folder for this site's own run.", callback=place)
    ] = None,
    state: Annotated[
        Path | None, Option("--state", metavar="FOLDER", help="Keeps parameters that never leave.", callback=place)
    ] = None,
    secure: Annotated[bool, Option("--secure", help="Take part under secure aggregation alone.")] = False,
    private: Insist = None,
    patience: Annotated[float, Option("--patience", min=1, help="Seconds the server may be away.")] = 600.0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Take part with the rows of this site until the server says that all is done."""
    from ...federated import join

    err = console(error=True)
    join(
        data, server=server, name=name, ca=ca, key=key, out=out, state=state, secure=secure, patience=patience,
        private=_budget(private),
        announce=None if quiet else lambda line: err.print(f"answered: {line}", style="dim", markup=False),
    )
    document = {"site": name, "server": server, "run": None if out is None else str(out)}
    reply(as_json, document, f"[bold]Done[/] as {plain(name)}" + (f", run in {plain(out)}" if out else ""))
