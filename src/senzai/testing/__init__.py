"""Testing: exams that every registered part and recipe sits, third parties' as well, and models with exact evidence."""

from . import densities as _densities  # noqa: F401  (each file registers its exams, in the order they are sat)
from . import rows as _rows  # noqa: F401  as above
from . import running as _running  # noqa: F401  as above
from . import structure as _structure  # noqa: F401  as above
from .data import DATA as DATA
from .data import Data as Data
from .exam import EXAMS as EXAMS
from .exam import Exam as Exam
from .exam import ExamResult as ExamResult
from .exam import NotAsked as NotAsked
from .exam import cases as cases
from .exam import exam as exam
from .exam import exam_of as exam_of
from .exam import examine as examine
from .exam import transcript as transcript
from .linear import LinearGaussian as LinearGaussian
from .subject import Subject as Subject
from .subject import entries as entries
from .subject import subjects as subjects
