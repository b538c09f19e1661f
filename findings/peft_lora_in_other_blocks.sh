#!/usr/bin/env bash
# peft 0.21.2, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: transformers 5 keeps the experts of a mixture as slices of one parameter. For such models peft rewrites
#   target_modules: every name that ends in down_proj (w2 for Mixtral) becomes the target parameter "down_proj", which is
#   that of the experts of all blocks. layers_to_transform is not applied to it, and what else the name said is lost.
# Expected: LoRA in the blocks that were named, as in any other model, or a refusal.
# Seen: with target_modules=["down_proj"] and layers_to_transform=[1], a Llama has its adapter in block 1, and a Qwen3-MoE
#   or Mixtral in the experts of every block. Where block 0 of a Qwen3-MoE is dense (mlp_only_layers), as the first blocks
#   of DeepSeek-V3 are, its full name, "model.layers.0.mlp.down_proj", puts adapters into blocks 1 to 3 and none into
#   block 0. No warning.
# Why it matters: an edit in one block by LoRA is trained in all of them.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet peft==0.21.2 transformers==5.23.0 torch==2.13.0 accelerate==1.15.0

cat >"$folder/seen.py" <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

WIDE = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
QWEN = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SHAPES = {
    "llama": ("llama", {}),
    "qwen3_moe": ("qwen3_moe", QWEN),
    "mixtral": ("mixtral", {"num_local_experts": 4}),
    "qwen3_moe, block 0 dense": ("qwen3_moe", QWEN | {"mlp_only_layers": [0]}),
}
said = []


class Kept(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("peft").addHandler(Kept(logging.WARNING))
warnings.showwarning = lambda message, category, *_: None if issubclass(category, FutureWarning) else said.append(message)


def trained(shape: str, target: str, **blocks) -> list[int]:
    """The blocks that have trained parameters."""
    kind, more = SHAPES[shape]
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **WIDE, **HEADS, **more, **ends))
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules=[target], **blocks))
    names = [name for name, parameter in tuned.named_parameters() if parameter.requires_grad]
    return sorted({int(name.partition(".layers.")[2].partition(".")[0]) for name in names})


print(f"peft {version('peft')}, transformers {transformers.__version__}: blocks of 0 to 3 with an adapter")
DENSE = "qwen3_moe, block 0 dense"
ASKED = (
    ("llama", "down_proj", {"layers_to_transform": [1]}, [1]),
    ("qwen3_moe", "down_proj", {"layers_to_transform": [1]}, [0, 1, 2, 3]),
    ("mixtral", "w2", {"layers_to_transform": [1]}, [0, 1, 2, 3]),
    ("llama", "model.layers.0.mlp.down_proj", {}, [0]),
    (DENSE, "model.layers.0.mlp.down_proj", {}, [1, 2, 3]),
)
so = True
for shape, target, blocks, wanted in ASKED:
    found = trained(shape, target, **blocks)
    asked = target + (", layers_to_transform=[1]" if blocks else "")
    print(f"  {shape + ',':26} {asked:38}", found)
    so = so and found == wanted
print("warnings:", len(said))
if so and not said:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" 2>"$folder/log" || {
  status=$?
  tail -n 5 "$folder/log" >&2
  exit "$status"
}
