"""Retrieval by dot product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def normalize_embeddings(embeddings: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(embeddings, dim=1)


def dot_score(queries: torch.Tensor, corpus: torch.Tensor) -> torch.Tensor:
    return queries @ corpus.T


def semantic_search(
    queries: torch.Tensor, corpus: torch.Tensor, score_function: Callable = dot_score, top_k: int = 10
) -> list[list[dict[str, Any]]]:
    scores, ids = score_function(queries, corpus).topk(top_k)
    return [
        [{"corpus_id": int(i), "score": float(s)} for i, s in zip(*row, strict=True)]
        for row in zip(ids, scores, strict=True)
    ]
