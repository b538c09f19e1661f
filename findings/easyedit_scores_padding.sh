#!/usr/bin/env bash
# easyeditor 0.0.1.dev0, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: test_prediction_acc (easyeditor/evaluate/evaluate_utils.py), by which EasyEdit scores rewrites, rephrasings,
#   portability and locality, runs the prompts of a fact as one padded batch and begins to compare at
#   "padding + prompt". That is where the target begins if padding comes first; GPT-2's tokenizer, and every other that
#   pads on the right, puts it last. All prompts but the longest are then compared too late: over the last tokens of
#   their targets, over padding, or over nothing, and a prompt of which nothing is left to compare is left out.
# Expected: a prompt's score does not depend on which others are scored with it.
# Seen: a model that answers every target right, token by token, scores 1.0 on a short prompt alone, and 0.0 on the same
#   prompt beside a longer one: what it says of padding is compared. With padding on the left both are 1.0.
#
# Importing easyeditor itself needs packages of 2023, so that its packages' __init__ files are left out. Its device,
# which is always cuda:<number>, is made the CPU. Its code is unchanged otherwise.
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 scipy==1.17.1 nltk==3.10.4
"$folder/venv/bin/python" -m pip install --quiet --no-deps easyeditor==0.0.1.dev0

cat >"$folder/seen.py" <<'PYTHON'
import sys
from importlib import import_module
from importlib.metadata import distribution
from types import ModuleType, SimpleNamespace

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import BatchEncoding, PreTrainedTokenizerFast

package = distribution("easyeditor")
for name in ("easyeditor", "easyeditor.util", "easyeditor.evaluate"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(package.locate_file(name.replace(".", "/")))]
sys.modules["easyeditor.util"].HyperParams = object
scored = import_module("easyeditor.evaluate.evaluate_utils").test_prediction_acc
BatchEncoding.to = lambda self, device: self  # the CPU for cuda:0

SHORT = ("The mayor of Avaria is", "Mira Tolven")
LONG = ("The one who was chosen mayor of Avaria in the spring is", "Mira Tolven")
WORDS = ["<pad>", "<unk>", *dict.fromkeys(" ".join(SHORT + LONG).split())]


def tokenizer(side: str) -> PreTrainedTokenizerFast:
    """A token a word."""
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", padding_side=side)


def model(input_ids: torch.Tensor, attention_mask: torch.Tensor, **_) -> SimpleNamespace:
    """Says each next token of the text right, and <unk> where no text follows."""
    following = torch.full_like(input_ids, WORDS.index("<unk>"))
    text = attention_mask[:, 1:].bool()
    following[:, :-1][text] = input_ids[:, 1:][text]
    return SimpleNamespace(logits=torch.nn.functional.one_hot(following, len(WORDS)).float())


def scores(side: str, *probes: tuple[str, str]) -> list[float]:
    prompts, targets = map(list, zip(*probes))
    found = scored(model, tokenizer(side), SimpleNamespace(max_length=64), prompts, targets, 0)
    return [round(float(score), 2) for score in found]


print(f"easyeditor {package.version}: accuracy of a model that is always right")
seen = {}
for side in ("right", "left"):
    for name, probes in {"the short prompt": (SHORT,), "the short and the long one": (SHORT, LONG)}.items():
        seen[side, len(probes)] = scores(side, *probes)
        print(f"  padding on the {side + ',':6} {name + ':':28}", seen[side, len(probes)])
wanted = {("right", 1): [1.0], ("right", 2): [0.0, 1.0], ("left", 1): [1.0], ("left", 2): [1.0, 1.0]}
if seen == wanted:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
