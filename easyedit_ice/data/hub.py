"""KnowEdit from the Hugging Face hub, through ``datasets``."""

from __future__ import annotations

from typing import Any

from easyedit_ice.errors import DataError

_REPOSITORY = "zjunlp/KnowEdit"

KNOWEDIT: dict[str, dict[str, str]] = {
    "wiki_counterfact": {
        "train": "benchmark/wiki_counterfact/train_cf.json",
        "test": "benchmark/wiki_counterfact/test_cf.json",
    },
    "wiki_recent": {
        "train": "benchmark/wiki_recent/recent_train.json",
        "test": "benchmark/wiki_recent/recent_test.json",
    },
    "zsre": {"test": "benchmark/ZsRE/ZsRE-test-all.json"},
    "wikibio": {
        "train": "benchmark/WikiBio/wikibio-train-all.json",
        "test": "benchmark/WikiBio/wikibio-test-all.json",
    },
}
"""Benchmarks by name, then by split: the file in the hub's repository."""


def download(name: str, split: str) -> list[dict[str, Any]]:
    """The raw records of one split of a KnowEdit benchmark, downloaded once and then cached by ``datasets``.

    Fields that only some records have come as ``None`` in the others.

    Args:
        name: a key of ``KNOWEDIT``.
        split: ``"train"`` or ``"test"``.

    Raises:
        DataError: the benchmark has no such split, or it can be neither downloaded nor found in the cache.
    """
    files = KNOWEDIT[name]
    if split not in files:
        raise DataError(f"{name} has no split {split!r}; choose one of {', '.join(map(repr, files))}")
    import datasets

    try:
        rows = datasets.load_dataset(_REPOSITORY, data_files=files[split], split="train")
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{files[split]} of {_REPOSITORY} could not be downloaded ({type(error).__name__}: {error}); "
            "download the file where there is a connection, and give its path instead of the name",
            path=name,
        ) from error
    return list(rows)
