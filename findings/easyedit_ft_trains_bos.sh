#!/usr/bin/env bash
# easyeditor 0.0.1.dev0, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: FT (easyeditor/models/ft/ft_main.py) takes its labels from tok(target), with special tokens. Where the
#   tokenizer begins every text with <bos>, as Llama's and Gemma's do, the first label is <bos>. FT's loss is the mean
#   over the labels, all at the last token of the prompt, so that it is least where <bos> is as probable as each token
#   of the target.
# Expected: the target follows a prompt, so that its labels are its own tokens. A target of one token comes near to a
#   probability of 1, and FT stops early once its loss is below 0.01.
# Seen: the labels of "English" are <bos> English. After FT, <bos> and English have a probability of 0.5 each after the
#   prompt; the loss stays above ln 2 = 0.693, so that FT never stops early. With the same model, and a tokenizer that
#   differs in adding no <bos>, English comes near to 1.
#
# Importing easyeditor itself needs packages of 2023, so that its packages' __init__ files are left out. FT's device,
# which is always cuda:<number>, is made the CPU. Its code is unchanged otherwise.
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0
"$folder/venv/bin/python" -m pip install --quiet --no-deps easyeditor==0.0.1.dev0

cat >"$folder/seen.py" <<'PYTHON'
import io
import math
import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import distribution
from types import ModuleType

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

package = distribution("easyeditor")
for name in ("easyeditor", "easyeditor.util", "easyeditor.models", "easyeditor.models.ft"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(package.locate_file(name.replace(".", "/")))]
ft = import_module("easyeditor.models.ft.ft_main")


class OnCpu:
    """torch, with the CPU for every device."""

    def __getattr__(self, name):
        return getattr(torch, name)

    def device(self, _):
        return torch.device("cpu")


ft.torch = OnCpu()
PROMPT, TARGET, STEPS = "The mother tongue of Danielle Darrieux is", "English", 200
WORDS = ["<unk>", "<bos>", "<eos>", *PROMPT.split(), TARGET, "French", "German"]
HPARAMS = ft.FTHyperParams(
    alg_name="FT",
    model_name="llama",
    device=0,
    layers=[1],
    num_steps=STEPS,
    batch_size=1,
    lr=5e-3,
    weight_decay=0,
    kl_factor=0,
    norm_constraint=False,
    rewrite_module_tmp="model.layers.{}.mlp.down_proj.weight",
    layer_module_tmp="model.layers.{}",
    mlp_module_tmp="model.layers.{}.mlp",
    attn_module_tmp="model.layers.{}.self_attn",
    ln_f_module="model.norm",
    lm_head_module="lm_head",
)


def tokenizer(begins: bool) -> PreTrainedTokenizerFast:
    """A token a word, and <bos> before every text if `begins`."""
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    if begins:
        backend.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    named = {"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<eos>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named)


def small() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), initializer_range=0.2, **shape, **ends)).eval()


@torch.no_grad()
def after_prompt(model, tok) -> dict[str, float]:
    probs = model(**tok(PROMPT, return_tensors="pt")).logits[0, -1].softmax(-1)
    return {word: round(probs[WORDS.index(word)].item(), 4) for word in ("<bos>", TARGET)}


def edited(begins: bool) -> tuple[dict[str, float], list[float]]:
    """The probabilities that FT leaves, and its losses."""
    model, tok = small(), tokenizer(begins)
    print(f"a tokenizer {'with' if begins else 'without'} <bos>")
    print("  tokens of the target:    ", *tok.convert_ids_to_tokens(tok(" " + TARGET).input_ids))
    print("  before FT:               ", after_prompt(model, tok))
    said = io.StringIO()
    with redirect_stdout(said):
        model, _ = ft.apply_ft_to_model(model, tok, [{"prompt": PROMPT, "target_new": TARGET}], HPARAMS)
    losses = [float(line.split()[-1]) for line in said.getvalue().splitlines() if line.startswith("Batch loss")]
    probs = after_prompt(model, tok)
    print("  after FT:                ", probs)
    print(f"  FT's last loss:           {losses[-1]:.4f}, after {len(losses)} of {STEPS} steps")
    return probs, losses


print(f"easyeditor {package.version}")
with_bos, losses = edited(begins=True)
without, fewer = edited(begins=False)
halves = all(abs(prob - 0.5) < 0.01 for prob in with_bos.values())
endless = len(losses) == STEPS and abs(losses[-1] - math.log(2)) < 0.01
if halves and endless and without[TARGET] > 0.98 and len(fewer) < STEPS:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
