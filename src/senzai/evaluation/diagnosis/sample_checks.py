"""Checks of samples: blur, holes under the prior, variety, claims of disentanglement."""

from __future__ import annotations

from .facts import DiagnosisFacts
from .finding import MEASURED, Finding, Remedy, check
from .sizes import wider

BLURRED = 0.35
HOLES, WORSE = 0.12, 2.0
VARIETY = 0.5
MIG = 0.1
CLAIMS = ("TotalCorrelation", "FactorVAE", "DIP", "Capacity", "Factor")


@check("blur", "reconstructions without detail", needs=("reconstruction_sharpness",))
def blurred(facts: DiagnosisFacts) -> Finding | None:
    """Reconstructions have lost most of their high frequencies."""
    energy = facts.reconstruction_sharpness if facts.reconstruction_sharpness is not None else 1.0
    if energy >= BLURRED:
        return None
    return Finding(
        "blur", "illness", "high-frequency energy of reconstructions over that of the data", energy, BLURRED, False,
        MEASURED,
        f"Reconstructions keep {energy:.0%} of the detail of the pictures: the networks are too small to draw it.",
        Remedy("Take wider networks.", wider(facts.told.hidden)),
    )


@check(
    "holes", "samples worse than reconstructions: the prior is where no code is",
    needs=("samples_frechet", "reconstructions_frechet"),
)
def holes(facts: DiagnosisFacts) -> Finding | None:
    """Samples are much farther from the data than reconstructions, by more than twice the error of their distance."""
    far, near = facts.samples_frechet or 0.0, facts.reconstructions_frechet or 0.0
    extra = far - near
    if extra <= max(HOLES, 2 * (facts.samples_frechet_se or 0.0)) or far <= WORSE * near:
        return None
    gains = {name: gain for name, gain in facts.told.gains.items() if gain[0] > 2 * gain[1]}
    best = max(gains, key=lambda name: gains[name][0], default="mixture")
    told = "" if best not in gains else f" The sampler '{best}' gains {gains[best][0]:.3g} nats on held-out codes."
    return Finding(
        "holes", "illness", "Frechet distance of samples above that of reconstructions, in variances of the data",
        extra, HOLES, True,
        "Tomczak and Welling, 2018, https://arxiv.org/abs/1705.07120 (holes of the aggregate posterior); " + MEASURED,
        f"Samples are {far / max(near, 1e-9):.2g} times farther from the data than reconstructions: the prior puts "
        f"codes where none has been.{told}",
        Remedy("Draw samples from a density of the codes, fitted after training.", {"sampler": best}),
    )


@check("low_diversity", "samples that are all alike", needs=("variety",), explains=("holes",))
def alike(facts: DiagnosisFacts) -> Finding | None:
    """Samples have far fewer kinds than reconstructions."""
    share = facts.variety if facts.variety is not None else 1.0
    if share >= VARIETY:
        return None
    return Finding(
        "low_diversity", "illness", "effective number of different samples over that of reconstructions",
        share, VARIETY, False,
        "Friedman and Dieng, 2023, https://arxiv.org/abs/2210.02410; the half: " + MEASURED,
        f"Samples have {share:.0%} of the variety of reconstructions.",
        Remedy("Let the prior fit the codes.", {"prior": "standard_normal", "sampler": "mixture"}),
    )


@check("disentanglement_unproven", "disentanglement is asked for and not shown", needs=("objective",))
def unproven(facts: DiagnosisFacts) -> Finding | None:
    """The objective is one for disentanglement, and no score against factors says it worked."""
    if not any(facts.told.objective.startswith(name) for name in CLAIMS):
        return None
    score = facts.mig if facts.mig is not None else 0.0
    if score >= MIG:
        return None
    said = "no known factors were given" if facts.mig is None else f"the two best latents are {score:.2g} apart"
    return Finding(
        "disentanglement_unproven", "note", "mutual information gap against known factors", score, MIG, False,
        "Locatello et al., 2019, https://arxiv.org/abs/1811.12359 (random codes reach about 0.1)",
        f"The objective is meant to disentangle, but {said}: without factors nothing shows that it did.",
        Remedy("Measure against known factors (factors=...), over several seeds; without them claim nothing."),
    )
