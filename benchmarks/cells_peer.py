"""SCVI of scvi-tools on the rows that ``cells`` wrote; runs in an environment of its own, which has no senzai."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path


def main(folder: Path) -> None:
    """Fit, and write codes, held-out log-likelihood and differences."""
    warnings.filterwarnings("ignore")
    import anndata
    import numpy as np
    import scvi
    import torch

    torch.set_num_threads(1)
    scvi.settings.seed = 0
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    data, parts = anndata.read_h5ad(folder / "x.h5ad"), np.load(folder / "parts.npz")
    train, test = (data[parts[name]].copy() for name in ("train", "test"))
    began = time.process_time()
    scvi.model.SCVI.setup_anndata(train, batch_key=asked["batch"])
    model = scvi.model.SCVI(train, gene_likelihood="nb")
    model.train(max_epochs=asked["epochs"], train_size=0.9, enable_progress_bar=False, accelerator="cpu")
    seconds = time.process_time() - began
    scvi.model.SCVI.setup_anndata(test, batch_key=asked["batch"])
    held = model._validate_anndata(test)
    many = {"n_mc_samples": asked["draws"], "n_mc_samples_per_pass": asked["draws"]}
    log_p = model.get_marginal_ll(held, return_mean=False, **many)  # its own mean is of batches, of whatever size
    found = {
        "version": scvi.__version__, "processor_seconds": seconds, "epochs": len(model.history["elbo_train"]),
        "held_out_log_likelihood": float(np.mean(np.asarray(log_p))),
    }
    np.save(folder / "codes.npy", model.get_latent_representation(held))
    if asked["differential"]:
        told = model.differential_expression(
            train, groupby=asked["label"], group1="0", group2="1", mode="change", delta=0.25, fdr_target=0.05,
            batch_correction=True,
        ).loc[list(data.var_names)]
        np.savez(
            folder / "differential.npz", probability=told["proba_de"].to_numpy(np.float64),
            differs=told["is_de_fdr_0.05"].to_numpy(bool),
        )
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
