"""Evaluation: figures about a trained model and data, each with its standard error; reads models, never trains them."""

from .bits import bits_per_dim as bits_per_dim
from .bits import dequantise as dequantise
from .bits import dequantised as dequantised
from .bits import dimensions as dimensions
from .bits import is_discrete as is_discrete
from .bounds import Split as Split
from .bounds import elbo as elbo
from .figures import evaluate as evaluate
from .latents import ActiveUnits as ActiveUnits
from .latents import Information as Information
from .latents import active_units as active_units
from .latents import aggregate_log_prob as aggregate_log_prob
from .latents import mutual_information as mutual_information
from .latents import pairwise_log_prob as pairwise_log_prob
from .likelihood import LikelihoodEstimate as LikelihoodEstimate
from .likelihood import log_likelihood as log_likelihood
from .noise import RowNoise as RowNoise
from .statistics import mean_se as mean_se
from .statistics import ratio_of_means as ratio_of_means
