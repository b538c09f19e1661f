"""Benchmarks from the Hugging Face hub, through ``datasets``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from easyedit_ice.errors import DataError
from easyedit_ice.runtime.extras import require

_KNOWEDIT = "zjunlp/KnowEdit"


@dataclass(frozen=True)
class HubBenchmark:
    """Where a benchmark lies on the hub.

    Attributes:
        repository: of the dataset.
        splits: by name the file in the repository, or none where the repository itself has such a split.
    """

    repository: str
    splits: dict[str, str | None]


BENCHMARKS: dict[str, HubBenchmark] = {
    "wiki_counterfact": HubBenchmark(
        _KNOWEDIT,
        {
            "train": "benchmark/wiki_counterfact/train_cf.json",
            "test": "benchmark/wiki_counterfact/test_cf.json",
        },
    ),
    "wiki_recent": HubBenchmark(
        _KNOWEDIT,
        {
            "train": "benchmark/wiki_recent/recent_train.json",
            "test": "benchmark/wiki_recent/recent_test.json",
        },
    ),
    "zsre": HubBenchmark(_KNOWEDIT, {"test": "benchmark/ZsRE/ZsRE-test-all.json"}),
    "wikibio": HubBenchmark(
        _KNOWEDIT,
        {
            "train": "benchmark/WikiBio/wikibio-train-all.json",
            "test": "benchmark/WikiBio/wikibio-test-all.json",
        },
    ),
    "counterfact": HubBenchmark("azhx/counterfact", {"train": None, "test": None}),
    "wikibigedit": HubBenchmark(
        "lukasthede/WikiBigEdit",
        {
            f"{begin}_{end}": f"wiki_big_edit_{begin}_{end}.json"
            for begin, end in pairwise(
                (
                    "20240201",
                    "20240220",
                    "20240301",
                    "20240320",
                    "20240401",
                    "20240501",
                    "20240601",
                    "20240620",
                    "20240701",
                )
            )
        },
    ),
    "ultraeditbench": HubBenchmark("XiaojieGu/UltraEditBench", {"train": None}),
    "mquake": HubBenchmark(
        "henryzhongsc/MQuAKE-Remastered", {split: None for split in ("CF3k", "CF9k", "CF6334", "T")}
    ),
}
"""Benchmarks that are known by name."""


def download(name: str, split: str) -> list[dict[str, Any]]:
    """The raw records of one split of a benchmark, downloaded once and then cached by ``datasets``.

    Fields that only some records have come as ``None`` in the others.

    Args:
        name: a key of ``BENCHMARKS``.
        split: one of its own.

    Raises:
        DataError: the benchmark has no such split, or it can be neither downloaded nor found in the cache.
    """
    benchmark = BENCHMARKS[name]
    if split not in benchmark.splits:
        raise DataError(f"{name} has no split {split!r}; choose one of {', '.join(map(repr, benchmark.splits))}")
    require("data", f"{name}, which is downloaded,")
    import datasets

    file = benchmark.splits[split]
    where = {"split": split} if file is None else {"data_files": file, "split": "train"}
    try:
        rows = datasets.load_dataset(benchmark.repository, **where)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{file or split} of {benchmark.repository} could not be downloaded ({type(error).__name__}: {error}); "
            "download the file where there is a connection, and give its path instead of the name",
            path=name,
        ) from error
    return list(rows)
