"""Values such as files of strangers hold: anything JSON can say, and what is nearly right."""

from __future__ import annotations

from hypothesis import strategies as st

CHARACTERS = st.characters(categories=("L", "M", "N", "P", "S", "Z", "Cc", "Cf", "Cs"))
TEXT = st.text(CHARACTERS, max_size=20)
NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([10**400, -(10**400), 2**63, 2**64, 10**9]),
    st.floats(),
    st.floats(0, 1),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
WORDS = st.sampled_from(["Avaria", "The capital of Avaria is", "Lodel", "Zoë", "Zoe\u0308", "{}", "A", "baker", "上海"])


def _or_anything(usual: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(usual, usual, usual, JSON)


_PROBE = st.fixed_dictionaries({"prompt": _or_anything(WORDS), "ground_truth": _or_anything(WORDS)})
_PROBES = st.dictionaries(
    st.one_of(st.sampled_from(["neighbours", "Forgetfulness"]), TEXT),
    _or_anything(st.one_of(_PROBE, st.lists(_PROBE, max_size=3))),
    max_size=2,
)
FACTS = st.fixed_dictionaries(
    {"prompt": _or_anything(WORDS), "target_new": _or_anything(WORDS)},
    optional={
        "subject": _or_anything(WORDS),
        "ground_truth": _or_anything(WORDS),
        "rephrase_prompt": _or_anything(WORDS),
        "locality": _or_anything(_PROBES),
        "portability": _or_anything(_PROBES),
        "context": _or_anything(st.lists(WORDS, max_size=2)),
        "case_id": JSON,
    },
)
BATCHES = st.one_of(st.lists(_or_anything(FACTS), max_size=3), JSON)
