"""Arguments of parts that follow from the data or from other parts."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ..core.registry import Registry
from ..nn.pretrained import hash_at

MAPS = 8
"""Maps of the size of a row that latents become before a decoder that goes entry by entry."""

PROVIDED: Registry[Callable[[Any], Any]] = Registry("provided argument")
"""From the name of an argument to a function of the frame that gives it: a part that has such an argument gets it.

A part with an argument of another kind adds it beside its class::

    PROVIDED.add("n_words")(lambda frame: frame.event[0])
"""

for _name in ("n_latent", "event", "n_condition", "n_classes", "n_rows", "n_numbers", "n_facts", "masked", "scaling"):
    PROVIDED.add(_name)(attrgetter(_name))

PROVIDED.add("encoder")(lambda frame: frame.encoder())
PROVIDED.add("encoders")(lambda frame: {k: one.encoder() for k, one in frame.of_modalities().items()})
PROVIDED.add("likelihoods")(lambda frame: {k: one.likelihood() for k, one in frame.of_modalities().items()})
PROVIDED.add("experts")(lambda frame: {k: one.posterior() for k, one in frame.of_modalities().items()})
PROVIDED.add("joint")(lambda frame: frame.inner(n_latent=frame.n_latent, without=("posterior",)).posterior())
PROVIDED.add("at_depth")(lambda frame: frame.at_depth())
PROVIDED.add("posterior")(lambda frame: frame.posterior())
PROVIDED.add("output")(lambda frame: frame.output())
PROVIDED.add("sha256")(lambda frame: hash_at(frame.get("encoder.path", None)))
PROVIDED.add("perceptual_sha256")(lambda frame: hash_at(frame.get("perceptual", None)))
PROVIDED.add("maps")(lambda frame: frame.decoder((MAPS, *frame.event)))
PROVIDED.add("code_dim")(lambda frame: frame.code_width or frame.get("code_dim", 16))
PROVIDED.add("curvature")(lambda frame: frame.get("curvature", 1.0))
PROVIDED.add("n_categories")(lambda frame: frame.get("n_categories", None))
PROVIDED.add("usual_depth")(lambda frame: frame.proposal.likelihood.settings.get("usual_depth", 1000.0))
PROVIDED.add("depth_spread")(lambda frame: frame.proposal.likelihood.settings.get("depth_spread", 0.0))
