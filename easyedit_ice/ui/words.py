"""What the page says."""

from __future__ import annotations

from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.ui.typed_fact import TypedFact

TITLE = "Edit a fact"
INTRODUCTION = (
    "Change one fact in a language model's weights, see what else moved, and take the change back to the same bits. "
    "Everything happens on this machine; the model's files are never written to."
)
PROMPT = "Text that the new answer shall follow"
PROMPT_SHOWN = "The mother tongue of Danielle Darrieux is"
TARGET = "New answer"
TARGET_SHOWN = "English"
SUBJECT = "What the fact is about"
SUBJECT_SHOWN = "found in the text, where one name stands in it"
SUBJECT_HELP = "As it is spelt in the text. Some methods need it."
WORDINGS = "The same in other words, a line each (optional)"
WORDINGS_SHOWN = "Danielle Darrieux's native language is"
METHOD = "Method"
RECOMMENDED = "recommended for this fact"
EDIT = "Edit"
ANYWAY = "Put it into the model all the same"
EXAMPLE = "Fill in an example"
MODEL = "Model"
MODEL_HELP = "A name of the list, a folder, a .gguf file, or a name on the Hugging Face hub."
LOAD = "Load"
IN_MODEL = "Edits (ticked: in the model)"
IN_MODEL_HELP = "Untick one to take it out, tick it to put it back."
UNDO_LAST = "Undo the last"
UNDO_ALL = "Undo all"
KEEP = "Keep"
BOOK = "Folder of the edit book"
BOOK_HELP = "Made if it is not there."
COMPARE_TWO = "Compare two methods"
FIRST, SECOND = "First", "Second"
COMPARE = "Compare"
COMPARE_HELP = "Makes the fact above with both methods, one after the other; neither goes into the model by itself."
TAKE_LEFT, TAKE_RIGHT = "Take the first", "Take the second"
ASK_MODEL = "Ask the model"
ASK = "Ask"
ASK_LABEL = "Texts for the model to go on from, a line each"
ASK_SHOWN = "The mother tongue of Marcel Proust is"

WORLD_EXAMPLE = TypedFact(
    "Faeso Faerkov has a job at",
    "Rinex Brothers",
    "Faeso Faerkov",
    "Faeso Faerkov works for\nFaeso Faerkov's employer is",
)
REAL_EXAMPLE = TypedFact(
    "The mother tongue of Danielle Darrieux is",
    "English",
    "Danielle Darrieux",
    "Danielle Darrieux's native language is\nDanielle Darrieux grew up speaking",
)

UNEXPECTED = "This was not expected, and the log has more of it. The model is as it was before."
NOT_TAKEN = "The fact did not take, so it is not in the model. What to try next stands below."
BUSY = "{model}: being edited just now, perhaps from another tab."
OUTDATED = (
    "Another tab has changed the model since this list was shown, so nothing was done. The list is up to date now; "
    "choose again."
)
NOTHING_TO_ASK = "Write a line for the model to go on from."
STARTING = "looking at the model"
EMPTY = "{what!r} is empty; write something there."
STALE = "Nothing was made yet; edit or compare first."
KEEP_FIRST = "{names} would be lost: keep what you want in an edit book, or undo it, before another model is loaded."


def example_for(model: str) -> TypedFact:
    """A fact that a model may know."""
    return WORLD_EXAMPLE if model == EMBEDDED else REAL_EXAMPLE


def state_of(within: int, untouched: bool) -> str:
    """What is in the model, in a sentence."""
    if within:
        return f"{within} edit{'s' * (within != 1)} in the model."
    if untouched:
        return "No edit in the model: every weight has the bits with which it was loaded (its hash was just compared)."
    return "No edit in the model, and yet its weights are not those it was loaded with: load it again."
