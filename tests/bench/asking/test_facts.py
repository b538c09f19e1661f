import pytest

from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.config import DataConfig
from easyedit_ice.data import load_records
from easyedit_ice.errors import DataError, RunConfigError


def indices(facts):
    return [fact.record["index"] for fact in facts]


def test_a_slice_of_the_file_is_taken_in_its_order_and_the_untouched_ones_follow():
    facts = choose(DataConfig(start=5, size=3, untouched=2))

    assert indices(facts.edited) == [5, 6, 7]
    assert indices(facts.untouched) == [8, 9]
    assert [fact.position for fact in (*facts.edited, *facts.untouched)] == [0, 1, 2, 0, 1]


def test_a_seed_draws_the_same_facts_each_time_and_other_ones_than_another_seed():
    one, again, other = (choose(DataConfig(size=10, seed=seed)) for seed in (1, 1, 2))

    assert indices(one.edited) == indices(again.edited) != indices(other.edited)
    assert one.hash == again.hash != other.hash


def test_without_a_size_all_facts_are_edited_but_the_untouched_ones():
    everything = len(load_records("factworld"))

    facts = choose(DataConfig(untouched=4))

    assert (len(facts.edited), len(facts.untouched)) == (everything - 4, 4)


@pytest.mark.parametrize("wrong", [{"size": 10**6}, {"start": 10**6}, {"size": 0}, {"untouched": 10**6}])
def test_more_facts_than_there_are_or_none_are_refused(wrong):
    with pytest.raises(RunConfigError, match="ask for fewer"):
        choose(DataConfig(**wrong))


def test_an_unknown_benchmark_is_refused_with_the_one_that_was_meant():
    with pytest.raises(DataError, match="factworld"):
        choose(DataConfig(source="factwrold"))


def test_examples_share_neither_prompt_nor_subject_with_the_facts():
    facts = choose(DataConfig(size=20, untouched=5))
    subjects = {fact.record["subject"] for fact in (*facts.edited, *facts.untouched)}

    assert facts.examples
    assert not subjects & {request["subject"] for request in facts.examples}


def test_questions_know_every_alias_of_an_answer(shared_data):
    facts = choose(DataConfig(source=str(shared_data / "wiki_counterfact/test_cf_dev.json"), size=20))

    aliases = [len(question.aliases) for fact in facts.edited for question in fact.asked]
    assert max(aliases) > 3


def test_a_case_names_the_fact_and_its_place_in_the_file():
    fact = choose(DataConfig(start=3, size=1)).edited[0]

    assert fact.case["index"] == 3
    assert fact.case["prompt"] == fact.record["prompt"]
    assert fact.case["ground_truth"] == fact.record["ground_truth"][0]


class _Knows:
    """A model that knows every third record of the file."""

    def __init__(self, source="factworld", split="test"):
        records = load_records(source, split=split)
        self._known = {record["prompt"] for record in records if record["index"] % 3 == 0}

    def first(self, questions, count):
        places = [place for place, (prompt, _) in enumerate(questions) if prompt in self._known][:count]
        return places, places[-1] + 1


def test_only_known_facts_are_chosen_if_asked_in_the_order_they_had():
    every = indices(choose(DataConfig(size=60, seed=3)).edited)
    facts = choose(DataConfig(size=5, untouched=1, seed=3, known=True), knowledge=_Knows)
    assert indices(facts.edited) == [index for index in every if index % 3 == 0][:5]
    assert facts.chosen.entry()["indices"].split() == [str(i) for i in indices((*facts.edited, *facts.untouched))]
    assert facts.chosen.asked < len(load_records("factworld"))


def test_known_facts_that_are_asked_again_are_neither_edited_nor_shown_and_the_same_for_all_methods():
    def knowledge():
        return _Knows(split="dev")

    facts = choose(DataConfig(size=20, untouched=5), 12, knowledge)
    again = choose(DataConfig(size=20, untouched=5), 12, knowledge)
    prompts = {prompt for prompt, _ in facts.known_facts.questions}
    assert facts.known_facts == again.known_facts
    assert len(prompts) == 12
    assert not prompts & {fact.record["prompt"] for fact in (*facts.edited, *facts.untouched)}
    assert not prompts & {request["prompt"] for request in facts.examples}


def test_what_a_model_knows_cannot_be_asked_without_it():
    with pytest.raises(RunConfigError, match="unedited model"):
        choose(DataConfig(known=True))
