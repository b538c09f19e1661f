"""What the package asks of a tokenizer, with types: any of transformers has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Tokenizer(Protocol):
    """A tokenizer as transformers makes them.

    Attributes:
        padding_side: ``left`` or ``right``, where rows of a batch are filled up.
        pad_token: text of the token that fills them; ``None`` if there is none.
        chat_template: of its model's turns, if it has one: a text, or several by name.
    """

    padding_side: str
    pad_token: str | None
    chat_template: Any

    @property
    def bos_token_id(self) -> int | None:
        """The beginning of text, if there is such a token."""
        ...

    @property
    def eos_token_id(self) -> int | None:
        """The end of text, if there is such a token."""
        ...

    @property
    def pad_token_id(self) -> int | None:
        """The token that fills rows up, if there is such a token."""
        ...

    @property
    def pad_token_type_id(self) -> int:
        """The type of a token that fills a row up."""
        ...

    @property
    def all_special_ids(self) -> list[int]:
        """The tokens that stand for no text."""
        ...

    def get_added_vocab(self) -> dict[str, int]:
        """The tokens that it was given beside its own, by their text."""
        ...

    def __call__(self, text: Any, **options: Any) -> Mapping[str, Any]:
        """What a model reads of a text, or of several: ``input_ids`` and what goes with them."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The ids of a text, by default with what the tokenizer puts around it."""
        ...

    def decode(self, token_ids: Any, skip_special_tokens: bool = False) -> Any:
        """The text of some ids. transformers' types are wider in both: ids of several texts give a list."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """What is said in a conversation as the model's template puts it: a text, unless ids are asked for."""
        ...

    def save_pretrained(self, save_directory: str | Path) -> object:
        """Write it into a folder."""
        ...
