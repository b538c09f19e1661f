"""The edit book: a folder of named edits on one base model, in any subset, and out again to the bit."""

from easyedit_ice.book.book import EditBook, edited
from easyedit_ice.book.conflicts import Conflict
from easyedit_ice.book.diff import Difference
from easyedit_ice.book.edits import Edit

__all__ = ["Conflict", "Difference", "Edit", "EditBook", "edited"]
