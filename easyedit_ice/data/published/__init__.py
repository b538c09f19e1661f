"""Later published data sets, one module for each family, in the form in which their authors publish them."""

from easyedit_ice.data.published.mquake import MQUAKE
from easyedit_ice.data.published.ripple import RIPPLE
from easyedit_ice.data.published.ultraedit import FEVER, ULTRAEDITBENCH
from easyedit_ice.data.published.unstructured import AKEW, AKEW_MQUAKE, UNKE
from easyedit_ice.data.published.wikibigedit import WIKIBIGEDIT
from easyedit_ice.data.published.wrong_answers import HALLUEDITBENCH, QAEDIT

PUBLISHED = (
    *(AKEW_MQUAKE, AKEW, MQUAKE, RIPPLE, WIKIBIGEDIT, ULTRAEDITBENCH),
    *(FEVER, QAEDIT, HALLUEDITBENCH, UNKE),
)
"""Those with the more particular marks first."""

__all__ = ["PUBLISHED"]
