"""Facts are checked before a model is touched."""

from __future__ import annotations

import re
from functools import partial

import pytest

from easyedit_ice.edit.fact_probes import Probe
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.request_keys import for_editors
from easyedit_ice.edit.token_checks import check_tokens
from easyedit_ice.errors import (
    ContradictionError,
    DuplicateFactError,
    EmptyTargetError,
    EmptyTextError,
    LengthMismatchError,
    ProbeFormError,
    PromptTooLongError,
    RequestError,
    SubjectNotFoundError,
    UnknownKeyError,
)
from easyedit_ice.testing.tiny_models import FACTS, tokenizer

GOOD = {"prompt": "The capital of Avaria is", "target_new": "Lodel", "subject": "Avaria"}
OTHER = {"prompt": "Mira Tolven works as a", "target_new": "baker", "subject": "Mira Tolven"}


def _with_probe(probe: object, section: str = "locality") -> dict:
    return {**OTHER, section: {"kind": probe}}


@pytest.mark.parametrize(
    ("fact", "error", "words"),
    [
        ({**OTHER, "prompt": ""}, EmptyTextError, "prompt is ''"),
        ({**OTHER, "prompt": " \n"}, EmptyTextError, "prompt"),
        ({**OTHER, "prompt": 3}, EmptyTextError, "prompt is 3"),
        ({**OTHER, "prompt": ["a list"]}, EmptyTextError, "prompt"),
        ({"target_new": "baker"}, EmptyTextError, "prompt is None"),
        ({**OTHER, "target_new": ""}, EmptyTextError, "target_new is ''"),
        ({**OTHER, "target_new": None}, EmptyTextError, "target_new is None"),
        ({**OTHER, "subject": " "}, EmptyTextError, "subject"),
        ({**OTHER, "rephrase_prompt": ""}, EmptyTextError, "rephrase_prompt"),
        ({**OTHER, "context": 3}, EmptyTextError, "context is 3"),
        ({**OTHER, "context": ["fine", ""]}, EmptyTextError, "context is ''"),
        ({**OTHER, "locality": ["no mapping"]}, ProbeFormError, "locality"),
        (_with_probe("no mapping"), ProbeFormError, r"locality\['kind'\]"),
        (_with_probe(["no mapping"]), ProbeFormError, r"locality\['kind'\]"),
        (_with_probe({"prompt": "lonely"}), ProbeFormError, "lacks ground_truth"),
        (_with_probe({"ground_truth": "lonely"}, "portability"), ProbeFormError, r"portability.*lacks prompt"),
        (_with_probe({"prompt": ["one"], "ground_truth": "one"}), ProbeFormError, "a list of each"),
        (_with_probe({"prompt": 3, "ground_truth": "one"}), ProbeFormError, "prompt"),
        (_with_probe({"prompt": "", "ground_truth": "one"}), EmptyTextError, "prompt is ''"),
        (_with_probe({"prompt": ["one", "two"], "ground_truth": ["one"]}), LengthMismatchError, "2 prompts but 1"),
        ("no mapping", ProbeFormError, "must be a dict"),
        (GOOD, DuplicateFactError, "stands at fact 0"),
        ({**GOOD, "prompt": "The capital  of Avaria is ", "target_new": " Lodel"}, DuplicateFactError, "fact 0"),
        ({**GOOD, "target_new": "Ommer"}, ContradictionError, "contradicts fact 0, which says 'Lodel'"),
    ],
)
def test_a_bad_fact_is_refused_by_name_and_index(fact, error, words):
    with pytest.raises(error, match=words) as caught:
        EditRequest.prepare([GOOD, fact])
    assert caught.value.index == 1
    assert str(caught.value).startswith("fact 1: ")


def test_every_request_error_is_a_value_error():
    with pytest.raises(ValueError):
        EditRequest.from_dict({"prompt": "", "target_new": "x"})
    assert issubclass(RequestError, ValueError)


@pytest.mark.parametrize("subject", [None, "Somebody Else"])
def test_a_missing_subject_is_refused_where_the_algorithm_needs_it(subject):
    fact = {**OTHER, "subject": subject}
    with pytest.raises(SubjectNotFoundError, match="subject") as caught:
        EditRequest.prepare([GOOD, fact], needs_subject=True)
    assert caught.value.index == 1
    assert len(EditRequest.prepare([GOOD, fact])) == 2


@pytest.mark.parametrize("single", [GOOD, "a prompt", EditRequest("a prompt", "a target")])
def test_a_single_fact_outside_a_list_is_refused(single):
    with pytest.raises(ProbeFormError, match="put it into a list"):
        EditRequest.prepare(single)


def test_an_empty_batch_is_refused():
    with pytest.raises(EmptyTextError, match="no fact to edit"):
        EditRequest.prepare([])


def test_prepared_requests_may_be_prepared_again():
    once = EditRequest.prepare([GOOD, OTHER])
    assert EditRequest.prepare(once) == once


def test_different_prompts_may_have_the_same_target():
    assert len(EditRequest.prepare([GOOD, {**OTHER, "target_new": "Lodel"}])) == 2


@pytest.mark.parametrize(
    ("prompt", "target", "completion"),
    [
        ("The capital is", "Lodel", " Lodel"),
        ("The capital is", " Lodel", " Lodel"),
        ("The capital is ", "Lodel", "Lodel"),
        ("The capital is\n", " Lodel ", "Lodel"),
    ],
)
def test_exactly_one_space_stands_between_prompt_and_target(prompt, target, completion):
    assert EditRequest(prompt, target).completion == completion


def test_braces_in_the_prompt_stand_for_the_subject():
    assert EditRequest.from_dict({**GOOD, "prompt": "The capital of {} is"}).prompt == GOOD["prompt"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ommer", "Ommer"),
        (["Ommer", "Omm"], "Ommer"),
        ([["Ommer", "Omm"], ["Sundray"]], "Ommer"),
        ([], None),
        ([[]], None),
        (None, None),
    ],
)
def test_the_ground_truth_may_be_a_string_a_list_or_lists(given, kept):
    assert EditRequest.from_dict({**GOOD, "ground_truth": given}).ground_truth == kept


@pytest.mark.parametrize(
    "probes",
    [
        {"prompt": "Avaria lies in", "ground_truth": "Sundray"},
        {"prompt": ["Avaria lies in"], "ground_truth": ["Sundray"]},
        [{"prompt": "Avaria lies in", "ground_truth": "Sundray"}],
        [{"prompt": "Avaria lies in", "ground_truth": ["Sundray"]}],
    ],
)
@pytest.mark.parametrize("section", ["locality", "portability"])
def test_probes_are_read_in_each_of_easyedits_forms(section, probes):
    request = EditRequest.from_dict({**GOOD, section: {"kind": probes}})
    assert getattr(request, section) == {"kind": (Probe("Avaria lies in", (("Sundray",),)),)}


def _portability(probes):
    return EditRequest.from_dict({**GOOD, "portability": {"kind": probes}}).portability["kind"]


def test_aliases_of_an_answer_are_kept_and_the_first_is_scored():
    answers = [["Sundray", "the Sundray"], ["Ommer"]]
    (probe,) = _portability([{"prompt": "Avaria lies in", "ground_truth": answers}])
    assert probe.answers == (("Sundray", "the Sundray"), ("Ommer",))
    assert probe.answer == "Sundray"


def test_each_of_several_prompts_has_its_own_answer():
    probes = _portability({"prompt": ["one", "two"], "ground_truth": [["1", "I"], "2"]})
    assert [(probe.prompt, probe.answer) for probe in probes] == [("one", "1"), ("two", "2")]


@pytest.mark.parametrize("context", ["Avaria moved.", ["Avaria moved."], ("Avaria moved.",)])
def test_a_records_own_context_is_kept(context):
    assert EditRequest.from_dict({**GOOD, "context": context}).context == ("Avaria moved.",)


class _Silent:
    """A tokenizer that knows no word."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [0] if add_special_tokens else []


def test_a_target_that_tokenises_to_nothing_is_refused():
    with pytest.raises(EmptyTargetError, match="'Lodel' tokenises to nothing") as caught:
        EditRequest.prepare([GOOD], check=partial(check_tokens, tok=_Silent(), context_length=None))
    assert caught.value.index == 0


def test_a_prompt_longer_than_the_models_context_is_refused():
    tok = tokenizer()
    facts = EditRequest.prepare(FACTS)
    lengths = [len(tok.encode(fact.prompt + fact.completion)) for fact in facts]
    longest = lengths.index(max(lengths))
    for limit in (max(lengths), None):
        EditRequest.prepare(FACTS, check=partial(check_tokens, tok=tok, context_length=limit))
    with pytest.raises(PromptTooLongError, match=f"{max(lengths)} tokens.*{max(lengths) - 1}") as caught:
        EditRequest.prepare(FACTS, check=partial(check_tokens, tok=tok, context_length=max(lengths) - 1))
    assert caught.value.index == longest


@pytest.mark.parametrize("records", [0, None, 3.5, b"x", object(), [None], [b"x"], [[]]])
def test_what_is_no_list_of_facts_is_refused(records):
    with pytest.raises(RequestError):
        EditRequest.prepare(records)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "\ud800"},
        {"target_new": "a\udfff"},
        {"subject": "\ud800"},
        {"rephrase_prompt": "\ud800"},
        {"context": ["\ud800"]},
        {"locality": {"\ud800": []}},
        {"locality": {1: []}},
        {"locality": {"k": {1: "x", "prompt": "y"}}},
        {"locality": {"k": {"prompt": "p", "ground_truth": {"a": 1}}}},
        {"locality": {"k": {"prompt": "p", "ground_truth": ["\ud800"]}}},
        {"portability": {"k": [{"prompt": "\ud800", "ground_truth": "x"}]}},
    ],
)
def test_odd_content_is_refused_with_the_fact_at_fault(changes):
    with pytest.raises(RequestError) as caught:
        EditRequest.prepare([GOOD | {"prompt": "Another is"}, GOOD | changes])
    assert caught.value.index == 1


@pytest.mark.parametrize(
    "changes",
    [{"prompt": ""}, {"target_new": " "}, {"prompt": 5}, {"locality": {"k": ["x"]}}, {"locality": 7}, {"context": 5}],
)
def test_requests_that_were_made_by_hand_are_checked_too(changes):
    request = EditRequest(**{"prompt": "The capital of Avaria is", "target_new": "Lodel"} | changes)
    with pytest.raises(RequestError, match="fact 0"):
        EditRequest.prepare([request])


def test_numbers_are_answers_as_they_are_written():
    probes = {"k": {"prompt": ["p", "q"], "ground_truth": [1984, [7, "seven"]]}}
    request = EditRequest.from_dict(GOOD | {"locality": probes})
    assert [probe.answers for probe in request.locality["k"]] == [(("1984",),), (("7",), ("seven",))]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("target", "It is called 'target_new' here"),
        ("rephrase", "It is called 'rephrase_prompt' here"),
        ("subjcet", "Did you mean 'subject'?"),
        ("Prompt", "Did you mean 'prompt'?"),
        ("image", "A request has: prompt, subject, target_new"),
    ],
)
def test_a_key_that_is_not_known_is_refused_with_what_was_meant(key: str, meant: str) -> None:
    with pytest.raises(UnknownKeyError, match=re.escape(f"fact 1: the key {key!r} is not known")) as caught:
        EditRequest.prepare([GOOD, OTHER | {key: "x"}])
    assert meant in str(caught.value)


def test_notes_of_published_files_are_read_over() -> None:
    (request,) = EditRequest.prepare([GOOD | {"case_id": 3, "relation": "P36"}])
    assert request == EditRequest(**GOOD)


def test_requests_of_easyedit_may_hold_what_its_evaluation_reads() -> None:
    host = [GOOD | {"loc_prompt": "x", "image": "y"}]
    assert EditRequest.prepare(for_editors(host)) == (EditRequest(**GOOD),)
    assert for_editors(GOOD) is GOOD
