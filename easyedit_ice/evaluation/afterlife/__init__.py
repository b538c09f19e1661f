"""What a model may go through after it was edited, done to it and taken back (docs/afterlife.md)."""

from easyedit_ice.evaluation.afterlife.settings import Course
from easyedit_ice.evaluation.afterlife.treatment import Treatment, treated
from easyedit_ice.evaluation.afterlife.treatment_table import TREATMENTS, chosen, names_of

__all__ = ["TREATMENTS", "Course", "Treatment", "chosen", "names_of", "treated"]
