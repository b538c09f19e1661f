#!/usr/bin/env bash
# transformers 5.23.0, with torch 2.13.0.
#
# Behaviour: a GenerationConfig that is passed to generate() takes what it leaves open (None) from the checkpoint's own
#   model.generation_config. So GenerationConfig(do_sample=False) does not give the likeliest tokens where the checkpoint
#   has a repetition_penalty, as chat models often do: words of the prompt are punished.
# Expected: with do_sample=False and nothing else, each token is the likeliest one.
# Seen: the repetition penalty of the checkpoint is applied, and other tokens are written.
# Why it matters: a new fact stands in the prompt, and its words are the ones that are punished.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0

cat >"$folder/seen.py" <<'PYTHON'
import sys

import torch
import transformers
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

SHAPE = {"vocab_size": 50, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(**SHAPE, bos_token_id=None, eos_token_id=None)).eval()
prompt = torch.arange(1, 9)[None]


def likeliest(length: int) -> list[int]:
    """Argmax after argmax, with no generate()."""
    row = prompt
    for _ in range(length):
        row = torch.cat([row, model(row).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    return row[0, prompt.shape[1] :].tolist()


def written() -> list[int]:
    settings = GenerationConfig(do_sample=False, max_new_tokens=8, pad_token_id=0)
    row = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=settings)
    return row[0, prompt.shape[1] :].tolist()


greedy, plain = likeliest(8), written()
model.generation_config.repetition_penalty = 5.0
penalised = written()
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
print("likeliest tokens:                                     ", greedy)
print("do_sample=False, the checkpoint has no penalty:       ", plain)
print("do_sample=False, the checkpoint's penalty is 5.0:     ", penalised)
if plain == greedy != penalised:
    print("As described: the passed GenerationConfig was filled from the checkpoint's own.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
