"""A remedy changes the model it is for: sizes are told from those the run has."""

from __future__ import annotations

import numpy as np

from senzai.runs import fit
from senzai.runs.verbs.diagnose import hidden_of, told_of

X = np.random.default_rng(0).normal(size=(60, 4))


def test_wider_is_wider_than_what_there_is():
    from senzai.evaluation.diagnosis.facts import DiagnosisFacts
    from senzai.evaluation.diagnosis.latent_checks import amortised

    for settings in ({}, {"hidden": [8]}, {"hidden": [300, 300]}):
        run = fit(X, steps=2, n_latent=2, sampler="none", **settings)
        told = told_of(run, 40)
        assert told.hidden == hidden_of(run.spec.model)
        found = amortised(DiagnosisFacts(told=told, amortisation=50.0, amortisation_se=0.1, rate=1.0, spread=1.0))
        assert max(found.remedy.settings["hidden"]) > max(told.hidden)
        assert "encoder_lr" not in found.remedy.settings


def test_a_rate_that_was_chosen_is_taken_back():
    from senzai.evaluation.diagnosis.facts import DiagnosisFacts
    from senzai.evaluation.diagnosis.latent_checks import amortised

    run = fit(X, steps=2, n_latent=2, sampler="none", encoder_lr=1e-6)
    found = amortised(DiagnosisFacts(told=told_of(run, 40), amortisation=50.0, amortisation_se=0.1, rate=1.0,
                                     spread=1.0))
    assert found.remedy.settings["encoder_lr"] is None
