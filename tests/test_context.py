"""No text of an edit is longer than the model reads, however little room the fact leaves."""

from __future__ import annotations

import pytest
from architectures import tiny
from quick import ANY_CONSEQUENCES

from easyedit_ice import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.tokens import tokens

CONTEXT = 64
QUICK = {"num_steps": 2, "lr": 1e-3, "locality_samples": 4}
CASES = {
    "ICE-LoRA": QUICK,
    "GoRA": QUICK,
    "FastICE": {"mom2_adjustment": False},
    "FastGrad": {"mom2_adjustment": False, "output_adjustment": False, "num_steps": 2},
    "ICE-Grad": {**ANY_CONSEQUENCES, "mom2_adjustment": False, "output_adjustment": False},
    "FastMEMIT": {"mom2_adjustment": False, "v_num_grad_steps": 2},
}


@pytest.mark.parametrize("algorithm", CASES)
@pytest.mark.parametrize("length", [40, CONTEXT])
@pytest.mark.parametrize("name", ["GPT2", "Llama"])
def test_texts_end_where_the_context_does(name, length, algorithm):
    tok = tokenizer()
    model = tiny(name, vocab_size=len(tok), n_positions=CONTEXT, max_position_embeddings=CONTEXT)
    fact = dict(FACTS[0])
    while len(tokens(tok, f"w {fact['prompt']} {fact['target_new']}")) <= length:
        fact["prompt"] = f"w {fact['prompt']}"
    read: list[int] = []
    model.get_input_embeddings().register_forward_hook(lambda module, args, output: read.append(args[0].shape[-1]))
    assert solve(model, tok, [fact], ALGORITHMS[algorithm].hparams_class(**CASES[algorithm])).deltas
    assert max(read) <= CONTEXT
