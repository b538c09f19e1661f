"""Whether a model can hold a fact: its tokenizer, its embedding, its context."""

from __future__ import annotations

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import EmptyTargetError, PromptTooLongError, UnknownTokenError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import tokens


def check_tokens(
    request: EditRequest, index: int, tok: Tokenizer, context_length: int | None, vocabulary: int | None = None
) -> None:
    """Refuse a fact that the model's tokenizer, embedding or context cannot hold.

    Args:
        request: the fact.
        index: its place in the batch.
        tok: a transformers tokenizer.
        context_length: positions the model has, in tokens; ``None`` if unlimited.
        vocabulary: tokens that the model has an embedding for; ``None`` not to look.

    Raises:
        EmptyTargetError: the target tokenises to nothing.
        UnknownTokenError: the model has no embedding for a token of the fact.
        PromptTooLongError: prompt and target together exceed the context.
    """
    if not tok.encode(request.completion, add_special_tokens=False):
        raise EmptyTargetError(
            f"the target {request.target_new!r} tokenises to nothing; give a target this tokenizer knows", index
        )
    ids = tokens(tok, request.asked() + request.completion)
    length, unknown = len(ids), [token for token in ids if vocabulary is not None and token >= vocabulary]
    if unknown:
        raise UnknownTokenError(
            f"the tokenizer makes token {unknown[0]} ({tok.decode(unknown[:1])!r}) of it, and the model has embeddings "
            f"for {vocabulary} tokens; give the tokenizer that belongs to the model, or enlarge its embedding "
            "(model.resize_token_embeddings)",
            index,
        )
    if context_length is not None and length > context_length:
        raise PromptTooLongError(
            f"prompt and target take {length} tokens, but the model's context is {context_length}; shorten the prompt",
            index,
        )
