"""Diagnosis: what is wrong with a model, by measured quantity, threshold with its source, and the setting to change."""

from . import data_checks as _data_checks  # noqa: F401  each fills the list of checks
from . import latent_checks as _latent_checks  # noqa: F401  as above
from . import likelihood_checks as _likelihood_checks  # noqa: F401  as above
from . import sample_checks as _sample_checks  # noqa: F401  as above
from . import training_checks as _training_checks  # noqa: F401  as above
from .facts import DiagnosisFacts as DiagnosisFacts
from .facts import Told as Told
from .finding import CHECKS as CHECKS
from .finding import Check as Check
from .finding import Diagnosis as Diagnosis
from .finding import Finding as Finding
from .finding import Remedy as Remedy
from .finding import check as check
from .finding import examine as examine
from .finding import ranked as ranked
from .gather import gather as gather
