#!/usr/bin/env bash
# transformers 5.23.0, with torch 2.13.0.
#
# Behaviour: output_hidden_states=True is answered by forward hooks of transformers' own, which it registers on the
#   blocks at the first call that asks for hidden states, and leaves there. PyTorch runs hooks in the order in which they
#   were registered. A forward hook that changes what a block gives, as editors at inference time and causal tracing
#   have them, is therefore in hidden_states if it was registered before any such call, and not in them if it was
#   registered after one.
# Expected: hidden_states[k] is what block k reads, whatever the model was asked for earlier; transformers 4 collected
#   it between the blocks.
# Seen: two models with the same weights and the same hook, which adds 1 to what block 1 gives, have the same logits, and
#   block 2 reads the same in both. In the one that was asked for its hidden states once before, hidden_states[2] is 1
#   off from what block 2 reads, everywhere: as if nothing had been added. Llama, Qwen and GPT-2 alike.
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
from transformers import AutoConfig, AutoModelForCausalLM

WIDE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
SHAPES = {
    "llama": ("model.layers", WIDE),
    "qwen2": ("model.layers", WIDE | {"num_key_value_heads": 2}),
    "gpt2": ("transformer.h", {"n_embd": 32, "n_layer": 3, "n_head": 2}),
}
IDS = torch.arange(1, 9)[None]


def small(kind: str):
    """The same random model each time."""
    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = AutoConfig.for_model(kind, vocab_size=50, **SHAPES[kind][1], **ends)
    return AutoModelForCausalLM.from_config(config).eval()


def steered(module, args, output):
    """A forward hook that adds 1 to what a block gives."""
    return (output[0] + 1, *output[1:]) if isinstance(output, tuple) else output + 1


@torch.no_grad()
def looked_at(kind: str, asked_before: bool) -> tuple[torch.Tensor, float, torch.Tensor]:
    """Logits; how far hidden_states[2] is from what block 2 reads; and what block 2 reads."""
    model = small(kind)
    if asked_before:
        model(IDS, output_hidden_states=True)
    first, second = (model.get_submodule(f"{SHAPES[kind][0]}.{block}") for block in (1, 2))
    first.register_forward_hook(steered)
    read = []
    second.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    output = model(IDS, output_hidden_states=True)
    return output.logits, (output.hidden_states[2] - read[0]).abs().max().item(), read[0]


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
so = True
for kind in SHAPES:
    (logits, off, read), (logits_asked, off_asked, read_asked) = (looked_at(kind, asked) for asked in (False, True))
    print(kind)
    print("  the same logits, and block 2 reads the same:         ", logits.equal(logits_asked), read.equal(read_asked))
    print("  hidden_states[2] from what block 2 reads, at most:")
    print(f"    never asked for hidden states before the hook:      {off:.4f}")
    print(f"    asked once before the hook was registered:          {off_asked:.4f}")
    alike = logits.equal(logits_asked) and read.equal(read_asked)
    so = so and alike and off == 0 and abs(off_asked - 1) < 1e-5
if so:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
