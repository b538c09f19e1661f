#!/usr/bin/env bash
# easyeditor 0.0.1.dev0, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: easyeditor/util/nethook.py's get_parameter looks for a name among model.named_parameters(), which lists a
#   parameter once. On a model whose head is tied to its embedding (GPT-2, SmolLM2, Gemma, small Llamas and Qwens),
#   get_parameter(model, "lm_head.weight") therefore raises LookupError, although model.lm_head.weight exists.
# Expected: the parameter, by any of its names.
# Seen: LookupError: lm_head.weight. ROME, MEMIT and their kin ask for f"{hparams.lm_head_module}.weight", so that
#   lm_head_module: lm_head fails on every such model.
#
# The file is loaded by its path: importing easyeditor itself needs packages of 2023.
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0
"$folder/venv/bin/python" -m pip install --quiet --no-deps easyeditor==0.0.1.dev0

cat >"$folder/seen.py" <<'PYTHON'
import sys
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location

from transformers import GPT2Config, GPT2LMHeadModel

package = distribution("easyeditor")
spec = spec_from_file_location("nethook", package.locate_file("easyeditor/util/nethook.py"))
nethook = module_from_spec(spec)
spec.loader.exec_module(nethook)


def found(tied: bool) -> str:
    shape = {"vocab_size": 50, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2}
    none = {"bos_token_id": None, "eos_token_id": None}
    model = GPT2LMHeadModel(GPT2Config(**shape, **none, tie_word_embeddings=tied))
    assert model.get_parameter("lm_head.weight") is model.lm_head.weight
    try:
        return "found" if nethook.get_parameter(model, "lm_head.weight") is model.lm_head.weight else "another one"
    except LookupError as error:
        return f"LookupError: {error}"


own, tied = found(tied=False), found(tied=True)
print(f"easyeditor {package.version}")
print('get_parameter(model, "lm_head.weight"), a head of its own:', own)
print('get_parameter(model, "lm_head.weight"), a tied head:      ', tied)
if (own, tied) == ("found", "LookupError: lm_head.weight"):
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
