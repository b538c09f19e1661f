#!/usr/bin/env bash
# easyeditor 0.0.1.dev0, with transformers 5.23.0 and torch 2.13.0.
#
# Behaviour: ROME has the model write a few beginnings of sentences, after which the fact is to hold as well. They are
#   kept in a variable of the module (CONTEXT_TEMPLATES_CACHE of easyeditor/models/rome/rome_main.py), and given to every
#   later edit of the process, whatever its model, tokenizer and settings.
# Expected: what a model is edited with depends on that model; two models in one process are edited as in two.
# Seen: after a model of French words was asked for its contexts, one of English words is given the French ones, which
#   its tokenizer reads as <unk> alone; by itself it writes English ones. Settings that ask for more and longer contexts
#   change nothing after the first edit either. MEMIT's module has the same variable.
#
# Importing easyeditor itself needs packages of 2023, so that its packages' __init__ files are left out. Its code is
# unchanged.
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 matplotlib==3.11.2 datasets==5.2.0
"$folder/venv/bin/python" -m pip install --quiet --no-deps easyeditor==0.0.1.dev0

cat >"$folder/seen.py" <<'PYTHON'
import io
import sys
from contextlib import redirect_stdout
from importlib import import_module, reload
from importlib.metadata import distribution
from types import ModuleType

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

package = distribution("easyeditor")
for name in ("easyeditor", "easyeditor.util", "easyeditor.models", "easyeditor.models.rome"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(package.locate_file(name.replace(".", "/")))]
rome = import_module("easyeditor.models.rome.rome_main")

FRENCH = ("la", "ville", "du", "nord", "est", "belle")
ENGLISH = ("old", "rivers", "run", "through", "green", "hills")


def speaker(words: tuple[str, ...]) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """A small random model, and its tokenizer with a token for each of these words."""
    vocabulary = ["<unk>", "<pad>", *words]
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    tok = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(vocabulary), n_embd=32, n_layer=1, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=1))
    with torch.no_grad():  # it says words, and neither <unk> nor <pad>
        model.lm_head = torch.nn.Linear(32, len(vocabulary))
        model.lm_head.bias[:2] = -100.0
    return model.eval(), tok


def contexts(words: tuple[str, ...], asked: list[list[int]]) -> list[str]:
    with redirect_stdout(io.StringIO()):
        return list(rome.get_context_templates(*speaker(words), asked))


def known(templates: list[str], words: tuple[str, ...]) -> int:
    """How many of the templates have a word of these."""
    return sum(any(word in template.split() for word in words) for template in templates)


few, more = [[6, 5]], [[6, 5], [12, 5]]
alone = contexts(ENGLISH, few)
reload(rome)
first = contexts(FRENCH, few)
after = contexts(ENGLISH, few)
longer = contexts(ENGLISH, more)
reload(rome)
longer_alone = contexts(ENGLISH, more)
print(f"easyeditor {package.version}")
print("the English model, first in its process:   ", alone[1:3])
print("the French model, first in its process:    ", first[1:3])
print("the English model after the French one:    ", after[1:3])
print(f"templates of the longer settings: {len(longer_alone)} alone, {len(longer)} after others")
stuck = after == first and longer == first and known(after, ENGLISH) == 0
if stuck and known(alone, ENGLISH) == 5 and len(longer_alone) == 11:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
