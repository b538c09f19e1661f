#!/usr/bin/env bash
# transformers 5.23.0, with accelerate 1.15.0 and torch 2.13.0.
#
# Behaviour: where device_map puts a block on the disk, or in the CPU's memory for a GPU, as it does by itself for a model
#   that is too large, the parameters of that block are on torch's meta device between their uses, and the weights that
#   are computed with are kept elsewhere. torch lets a CPU tensor be added to a meta tensor in place. An edit in the way
#   of ROME and MEMIT (weight[...] += update, without gradients) therefore returns and changes nothing; so does an
#   optimiser, for weight.grad stays None.
# Expected: the model is edited, or the edit is refused.
# Seen: the same update moves the logits of a model in memory by more than 1, and those of a model with that block on the
#   disk by nothing. No error and no warning, neither from adding, nor from copy_, nor from ten steps of Adam. A
#   message at loading says that parameters are on the meta device.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 accelerate==1.15.0

cat >"$folder/seen.py" <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
IDS = torch.arange(1, 9)[None]
SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
PARTS = ("model.embed_tokens", "model.rotary_emb", "model.layers.0", "model.norm", "lm_head")
ELSEWHERE = {part: "cpu" for part in PARTS} | {"model.layers.1": "disk"}
said = []


class Kept(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        said.append(record.getMessage())


for name in ("transformers", "accelerate"):
    logging.getLogger(name).addHandler(Kept(logging.WARNING))
warnings.showwarning = lambda message, *_: said.append(str(message))
torch.manual_seed(0)
LlamaForCausalLM(LlamaConfig(vocab_size=50, initializer_range=0.1, **SHAPE)).save_pretrained(f"{folder}/model")
update = torch.randn(64, 96)


@torch.no_grad()
def added(weight: torch.Tensor, model) -> None:
    weight[...] += update


@torch.no_grad()
def copied(weight: torch.Tensor, model) -> None:
    weight.copy_(update)


def trained(weight: torch.Tensor, model) -> None:
    steps = torch.optim.Adam([weight], lr=0.1)
    for _ in range(10):
        steps.zero_grad()
        model(IDS, labels=IDS).loss.backward()
        steps.step()


def moved(change, **options) -> float:
    """How far a change of block 1's down_proj moves the logits."""
    model = AutoModelForCausalLM.from_pretrained(f"{folder}/model", **options).eval()
    said.clear()
    with torch.no_grad():
        before = model(IDS).logits
    change(model.model.layers[1].mlp.down_proj.weight, model)
    with torch.no_grad():
        return round((model(IDS).logits - before).abs().max().item(), 3)


print(f"transformers {transformers.__version__}, accelerate {version('accelerate')}, torch {torch.__version__}")
print("how far the logits move         in memory  on the disk  warnings")
so = True
for name, change in {"weight[...] += update": added, "weight.copy_(update)": copied, "ten steps of Adam": trained}.items():
    here = moved(change)
    there = moved(change, device_map=ELSEWHERE, offload_folder=f"{folder}/offloaded")
    print(f"  {name:28}  {here:9}  {there:11}  {len(said):8}")
    so = so and here > 1 and there == 0 and not said
if so:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" "$folder" 2>"$folder/log" || {
  status=$?
  tail -n 5 "$folder/log" >&2
  exit "$status"
}
