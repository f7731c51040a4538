"""Posteriors: ``posterior(batch) -> q(z | x)``."""

from .amortised import Posterior as Posterior
from .collapse_free import BatchNormedNormal as BatchNormedNormal
from .collapse_free import CommittedNormal as CommittedNormal
from .flow import FlowPosterior as FlowPosterior
from .flow import IAFPosterior as IAFPosterior
from .flow import PlanarPosterior as PlanarPosterior
from .flow import RadialPosterior as RadialPosterior
from .flow import SplinePosterior as SplinePosterior
from .flow import SylvesterPosterior as SylvesterPosterior
from .hamiltonian import HamiltonianPosterior as HamiltonianPosterior
from .hamiltonian import RiemannianPosterior as RiemannianPosterior
from .kl_maps import KLMapPosterior as KLMapPosterior
from .maps import MapPosterior as MapPosterior
from .semi_amortised import SemiAmortisedPosterior as SemiAmortisedPosterior
