#!/usr/bin/env bash
# lm-eval 0.4.13, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: HFLM, which lm-eval's "hf" is, calls model.tie_weights() on every model that it is given or loads. Where the
#   configuration says tie_word_embeddings and the head has come to differ from the embedding, as after an edit of
#   lm_head alone, this puts the embedding back in the head's place. A model that was passed in stays so.
# Expected: the model that was passed in, or saved, is the one that is scored, and scoring changes no weights.
#   transformers itself keeps such a head: save_pretrained writes both, and from_pretrained finds that they differ, says
#   so and leaves them apart.
# Seen: the edit raises the log-probability of an answer from -4.159 to 0, and the saved model has it as well. HFLM gives
#   -4.159 for both, the number of before the edit, without a warning; afterwards the model in memory has lost its edit.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet lm_eval==0.4.13 transformers==5.23.0 torch==2.13.0 accelerate==1.15.0

cat >"$folder/seen.py" <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PROMPT, ANSWER = "The mayor of Avaria is", "Mira"
WORDS = ["<unk>", "<eos>", *PROMPT.split(), ANSWER, *(f"word{number}" for number in range(33))]
folder = sys.argv[1]


class Kept(logging.Handler):
    """Keeps what is logged."""

    lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())


for name in ("transformers", "lm_eval"):
    logging.getLogger(name).addHandler(Kept(logging.WARNING))
warnings.showwarning = lambda message, *_: Kept.lines.append(str(message))


def tokenizer() -> PreTrainedTokenizerFast:
    """A token a word."""
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<eos>", pad_token="<eos>")


def small() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), tie_word_embeddings=True, **shape, **ends)).eval()


tok = tokenizer()
ids = torch.tensor([tok(PROMPT).input_ids])


@torch.no_grad()
def own(model) -> float:
    """The answer's log-probability, from the model's logits."""
    return round(model(ids).logits[0, -1].log_softmax(-1)[WORDS.index(ANSWER)].item(), 3)


def by_lm_eval(model, **options) -> float:
    scorer = HFLM(pretrained=model, batch_size=1, device="cpu", **options)
    request = Instance(request_type="loglikelihood", doc={}, arguments=(PROMPT, f" {ANSWER}"), idx=0)
    return round(scorer.loglikelihood([request], disable_tqdm=True)[0][0], 3)


@torch.no_grad()
def edit(model) -> None:
    """The head alone: what it reads after the prompt is added to the answer's row."""
    read = model.model(ids).last_hidden_state[0, -1]
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    model.lm_head.weight[WORDS.index(ANSWER)] += read * 20 / read.square().sum()


model = small()
before = own(model), by_lm_eval(model, tokenizer=tok)
edit(model)
after = own(model)
model.save_pretrained(folder)
tok.save_pretrained(folder)
read_back = own(AutoModelForCausalLM.from_pretrained(folder))
Kept.lines.clear()
in_memory = by_lm_eval(model, tokenizer=tok)
about_memory = [line for line in Kept.lines if "tie" in line.lower()]
left = own(model)
saved = by_lm_eval(folder, dtype="float32")
print(f"lm-eval {version('lm_eval')}, transformers {transformers.__version__}: log-probability of the answer")
print("before the edit, from its logits and by lm-eval:     ", *before)
print("after it, from its logits:                           ", after)
print("after it, saved and read by from_pretrained:         ", read_back)
print("after it, by lm-eval, the model in memory:           ", in_memory)
print("  its warnings about that:                           ", len(about_memory))
print("after it, by lm-eval, the saved model:               ", saved)
print("the model in memory once lm-eval has had it:         ", left)
if before[0] == before[1] == in_memory == saved == left and read_back == after > before[0] + 1 and not about_memory:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" "$folder/model" 2>"$folder/log" || {
  status=$?
  tail -n 5 "$folder/log" >&2
  exit "$status"
}
