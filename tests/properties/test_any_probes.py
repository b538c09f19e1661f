"""Probes of whatever records there are: each text is well-formed, or left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from values import TEXT

from easyedit_ice.evaluation.leading_answer import plain
from easyedit_ice.evaluation.probes import PROBES, Claim, Claims, Item
from easyedit_ice.evaluation.probes.wording import BLANK
from easyedit_ice.text.subjects import mentions

NAMES = st.one_of(
    st.sampled_from(
        (
            *(
                "Rome",
                "rome",
                "New Rome",
                "Paris",
                "Zo\u00eb",
                "Zoe\u0308",
                "\u4e0a\u6d77",
                "A",
                "not",
                "Yes",
                "C++",
                "U.S.",
            ),
            *("Ann", "Joann's annual", "", " ", "\u200b", "A\nB. C", "___", "{}", "Who?", "x" * 3000, "J. K. Rowling"),
        )
    ),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
)
"""Of records that are edited; halves of characters end a run before it begins."""
PROMPTS = st.sampled_from(
    (
        *("The capital of {} is", "{} was born in", "{}", "{} is not", "It never rains. {} lies in ", "Who rules {}?"),
        *("Question: Who rules {}? Answer:", "Country: {}. Capital:", "{} does not like {}, but", "\n{}\n", "In {}, "),
        *("Mr. {} has", "?", "The annual Ann prize of {} goes to", "\u4e0a\u6d77\u5728{}", "Is it true that {} is"),
    )
)


@st.composite
def records(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> dict:
    subject = draw(st.none() | names)
    record = {"prompt": draw(PROMPTS).replace("{}", subject or "Rome"), "target_new": draw(names)}
    if subject is not None:
        record["subject"] = subject
    if draw(st.booleans()):
        record["ground_truth"] = tuple(draw(st.lists(names, max_size=3)))
    return record


def _sound(name: str, item: Item, claim: Claim) -> None:
    """What holds for every text that is asked."""
    assert len({plain(option, True) or option for option in item.options}) == len(item.options) >= 2
    assert item.prompt.strip() or not claim.prompt.strip()
    wrong = [option for place, option in enumerate(item.options) if place != item.right]
    if name in ("choice", "irrelevant", "long", "contradicting", "dialogue"):
        assert item.options[item.right] == claim.answer
        assert item.prompt.endswith(claim.prompt)
        assert not any(plain(claim.answer, True) in plain(option, True) for option in wrong if option != claim.rival)
    if name in ("irrelevant", "long"):
        before = item.prompt.removesuffix(claim.prompt)
        assert "\n" not in before
        named = [plain(own, True) for own in (claim.answer, claim.rival, claim.subject) if own]
        assert not any(own in plain(text, True) for text in before.split(". ") for own in named if own)
    if name == "letters":
        listed = item.prompt.removesuffix("\nAnswer:").splitlines()[-len(item.options) :]
        assert [line[:3] for line in listed] == [f"{letter}. " for letter in "ABCD"[: len(item.options)]]
        assert listed["ABCD".index(item.options[item.right])][3:] == claim.answer
    if name == "negation":
        assert item.options[item.right] != claim.answer
        assert plain(item.prompt, True).split().count("not") == 1 + plain(claim.prompt, True).split().count("not")
    if name == "reversed":
        assert claim.subject
        assert item.options[item.right] == claim.subject
        assert BLANK in item.prompt
        assert not mentions(item.prompt.removeprefix("Fill in the blank:").removesuffix("Answer:"), claim.subject)
    if name in ("yes_no", "leaning"):
        assert item.prompt.startswith("Question: Is it true that ")
        assert "\n" not in item.prompt


@given(st.lists(records(), min_size=1, max_size=4), st.lists(records(NAMES | TEXT), max_size=30), st.integers(0, 3))
def test_probes_of_any_records_are_well_formed_or_left_out(edited, others, seed):
    claims = Claims([*edited, *others], edited, seed)
    for record in edited:
        claim = claims.of(record)
        for own in (claim, claim.of_old_facts()):
            for name, probe in PROBES.items():
                for item in probe.make(own) if own is not None else ():
                    _sound(name, item, own)


@given(st.lists(records(), min_size=1, max_size=12), st.integers(0, 3))
def test_equal_records_and_seeds_give_equal_probes(drawn, seed):
    made = [Claims(drawn, drawn[:1], seed).of(drawn[0]) for _ in range(2)]
    assert made[0] == made[1]
