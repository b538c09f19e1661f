"""Retrieval: the likest of all facts in force stands before every question."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from quick_methods import FACTS

from easyedit_ice.bench.methods.searching import ByDirection, ByWords, searcher
from easyedit_ice.errors import HyperParamsError, MissingPackageError, UpdateError


def sentence(fact: dict) -> str:
    return f"{fact['prompt']} {fact['target_new']}. "


def test_each_question_is_asked_after_the_fact_that_it_is_about(method: Callable) -> None:
    made = method("Retrieval")
    edited = made.apply(FACTS, 0)
    for fact in FACTS:
        for context in (*edited.contexts, edited.everywhere):
            assert context(fact["prompt"]) == sentence(fact) + fact["prompt"]


def test_facts_of_later_edits_are_found_by_earlier_contexts(method: Callable) -> None:
    made = method("Retrieval")
    (first,) = made.apply(FACTS[:1], 0).contexts
    question = FACTS[1]["prompt"]
    assert sentence(FACTS[1]) not in first(question)
    made.apply(FACTS[1:2], 0)
    assert first(question) == sentence(FACTS[1]) + question


def test_an_undone_edit_is_forgotten_and_no_other(method: Callable) -> None:
    made = method("Retrieval")
    kept = made.apply(FACTS[:1], 0)
    gone = made.apply(FACTS[1:2], 0)
    with pytest.raises(UpdateError, match="not the last edit"):
        made.undo(kept)
    made.undo(gone)
    assert gone.contexts[0](FACTS[1]["prompt"]) == kept.contexts[0](FACTS[1]["prompt"])
    assert kept.contexts[0](FACTS[0]["prompt"]).startswith(sentence(FACTS[0]))
    made.reset()
    assert kept.contexts[0](FACTS[0]["prompt"]) == FACTS[0]["prompt"]


def test_a_question_that_shares_no_word_with_any_fact_stands_alone(method: Callable) -> None:
    edited = method("Retrieval").apply(FACTS, 0)
    assert edited.everywhere("Zzyzx qwrt") == "Zzyzx qwrt"


def test_several_facts_stand_there_with_the_likest_last(method: Callable) -> None:
    made = method("Retrieval", top=2, joint="; ")
    edited = made.apply(FACTS, 0)
    asked = edited.everywhere(f"{FACTS[0]['prompt']} or {FACTS[1]['subject']}")
    likest = f"{FACTS[0]['prompt']} {FACTS[0]['target_new']}; "
    assert asked.index(FACTS[1]["prompt"]) < asked.index(likest)


def test_the_models_own_states_find_a_fact_by_its_prompt(method: Callable) -> None:
    made = method("Retrieval", search="own", least=0.1)
    edited = made.apply(FACTS, 0)
    found = [edited.everywhere(fact["prompt"]).startswith(sentence(fact)) for fact in FACTS]
    assert all(found)


def test_words_are_searched_whatever_their_case_and_stop_words_count_for_nothing() -> None:
    search = ByWords(["The capital of France is Lyon", "The river of Rome is the Elbe"])
    assert search.scores("ROME?").argmax() == 1
    assert not search.scores("is the of").any()
    assert not ByWords(["is the", "of"]).scores("Rome").any()


def test_directions_are_compared_and_not_lengths() -> None:
    vectors = {"a": [10.0, 0.0], "b": [0.1, 0.1], "q": [2.0, 2.0], "none": [0.0, 0.0]}
    search = ByDirection(["a", "b"], lambda text: np.array(vectors[text]))
    assert search.scores("q") == pytest.approx([2**-0.5, 1])
    assert not search.scores("none").any()


def test_a_sentence_encoder_without_its_package_is_refused_by_name(
    method: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPackageError, match=r"easyedit-ice\[ike\]"):
        method("Retrieval", search="all-MiniLM-L6-v2")


@pytest.mark.parametrize("setting", [{"search": " "}, {"top": 0}])
def test_settings_that_make_no_sense_are_refused(method: Callable, setting: dict) -> None:
    with pytest.raises(HyperParamsError, match=next(iter(setting))):
        method("Retrieval", **setting)


@pytest.mark.slow
def test_a_folder_of_a_sentence_encoder_is_used(tmp_path: Path, method: Callable) -> None:
    package = pytest.importorskip("sentence_transformers")
    base = method("Prompt")
    base.model.save_pretrained(tmp_path / "model")
    base.tok.save_pretrained(tmp_path / "model")
    package.SentenceTransformer(str(tmp_path / "model")).save(str(tmp_path / "encoder"))
    make = searcher(str(tmp_path / "encoder"), base.model, base.tok)
    texts = [sentence(fact) for fact in FACTS]
    search = make(texts)
    assert [int(search.scores(text).argmax()) for text in texts] == list(range(len(texts)))
