"""Small things of objectives, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import senzai.objectives
from senzai.core.spec import registry

NOT_IN_NATS = {"mmd", "sharpened", "image_terms", "vae_gan", "codes", "rae", "adversarial_codes", "maximum_likelihood",
               "flow_matching", "non_saturating", "spectral_codes", "graph_search", "mechanisms"}


def test_objectives_that_weigh_no_nats_say_so():
    """A kernel, a critic, features, a codebook or a norm stands beside the distortion instead of a rate."""
    assert senzai.objectives
    objectives = registry("objective")
    ours = {n: cls for n, cls in objectives.items() if cls.__module__.startswith("senzai.")}
    assert {name for name, cls in ours.items() if not cls.is_bound} == NOT_IN_NATS
