"""The same facts in another order."""

from __future__ import annotations

from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.config import DataConfig


def test_another_order_is_of_the_same_facts_and_of_the_same_hashes() -> None:
    plain, turned, again = (choose(DataConfig(size=12, order=order)).with_claims(0) for order in (None, 3, 3))
    prompts = [[fact.request["prompt"] for fact in facts.edited] for facts in (plain, turned, again)]
    assert prompts[0] != prompts[1] == prompts[2]
    assert sorted(prompts[0]) == sorted(prompts[1])
    assert [fact.position for fact in turned.edited] == list(range(12))
    assert (plain.hash, plain.claims_hash) == (turned.hash, turned.claims_hash)
    claims = [{fact.request["prompt"]: fact.claim for fact in facts.edited} for facts in (plain, turned)]
    assert claims[0] == claims[1]
