"""A tokenizer has a type, which those of transformers fulfil."""

from __future__ import annotations

import re
from pathlib import Path

import easyedit_ice
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.testing.tiny_models import tokenizer

PACKAGE = Path(easyedit_ice.__file__).parent
OF_EASYEDITS_CODE = "easyedit/loading/rewrites.py"
"""What its code calls there is a tokenizer, or one's method."""


def test_transformers_tokenizers_have_all_that_is_asked_of_them():
    asked = {*vars(Tokenizer)["__annotations__"], *(name for name in vars(Tokenizer) if not name.startswith("_"))}
    assert {"padding_side", "eos_token_id", "encode"} <= asked
    assert [name for name in asked if not hasattr(tokenizer(), name)] == []


def test_no_tokenizer_is_passed_on_without_its_type():
    untyped = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\btok: Any\b", path.read_text(encoding="utf-8"))
    ]
    assert untyped == [OF_EASYEDITS_CODE]
