#!/usr/bin/env bash
# transformers 5.23.0, with gguf 0.19.0, torch 2.13.0 and xllamacpp 2026.10.11549 (llama.cpp).
#
# Behaviour: a Llama may have biases in its MLPs (LlamaConfig.mlp_bias), and a GGUF file of one has tensors for them,
#   blk.N.ffn_gate.bias, .ffn_up.bias and .ffn_down.bias, which llama.cpp reads. transformers makes a model with
#   mlp_bias=False of that file, leaves the tensors out and says nothing; so does the checkpoint that is saved from there.
# Expected: the model that the file holds, or a refusal, or a warning.
# Seen: the model that was written and llama.cpp agree on the likeliest next token and its log-probability; what
#   transformers has read finds another one likeliest. No warning, and nothing in missing_keys or unexpected_keys. Given
#   its own configuration with mlp_bias=True, it reads all of the file.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/python" -m pip install --quiet xllamacpp==2026.10.11549

cat >"$folder/seen.py" <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import gguf
import torch
import transformers
import xllamacpp
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig, LlamaConfig, LlamaForCausalLM

folder = Path(sys.argv[1])
WORDS, WIDTH, INNER = 64, 64, 96
NAMES = {
    "model.embed_tokens.": "token_embd.",
    "model.norm.": "output_norm.",
    "model.layers.": "blk.",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
said = []


class Kept(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("transformers").addHandler(Kept(logging.WARNING))
warnings.showwarning = lambda message, *_: said.append(str(message))

torch.manual_seed(0)
model = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=256,
        initializer_range=0.2,
        tie_word_embeddings=True,
        mlp_bias=True,
        rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )
).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(std=1.0)

writer = gguf.GGUFWriter(folder / "biased.gguf", "llama")
writer.add_context_length(256)
writer.add_embedding_length(WIDTH)
writer.add_block_count(2)
writer.add_feed_forward_length(INNER)
writer.add_head_count(1)
writer.add_head_count_kv(1)
writer.add_layer_norm_rms_eps(1e-6)
writer.add_rope_dimension_count(WIDTH)
writer.add_rope_freq_base(10000.0)
writer.add_vocab_size(WORDS)
writer.add_tokenizer_model("gpt2")
writer.add_token_list([chr(97 + index) for index in range(WORDS)])
writer.add_token_merges(["a b"])
for name, parameter in model.named_parameters():
    numbers = parameter.detach()
    if "q_proj" in name or "k_proj" in name:  # llama.cpp turns neighbours, transformers halves
        numbers = numbers.reshape(2, WIDTH // 2, WIDTH).transpose(0, 1).reshape(WIDTH, WIDTH).contiguous()
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    writer.add_tensor(name, numbers.numpy())
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

text = torch.randint(5, WORDS, (1, 40))


@torch.no_grad()
def likeliest(one):
    row = one.eval()(text).logits[0, -1].log_softmax(-1)
    return row.argmax().item(), round(row.max().item(), 2)


def by_llama_cpp():
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel, settings.warmup = str(folder / "biased.gguf"), 256, 1, False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(settings)
    reply = server.handle_completions({"prompt": text[0].tolist(), "max_tokens": 1, "temperature": 0, "n_probs": 1})
    (token,) = reply["choices"][0]["logprobs"]["content"]
    return token["id"], round(token["logprob"], 2)


def read(**more):
    return AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file="biased.gguf",
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        output_loading_info=True,
        **more,
    )


plain, loading = read()
told = [line for line in said if "bias" in line.lower()]
config = AutoConfig.from_pretrained(folder, gguf_file="biased.gguf")
config.mlp_bias = True
asked, _ = read(config=config)
written, cpp, given, mended = likeliest(model), by_llama_cpp(), likeliest(plain), likeliest(asked)
print(f"transformers {transformers.__version__}, gguf {version('gguf')}, xllamacpp {version('xllamacpp')}")
print("likeliest next token, and its log-probability")
print("  the model that was written:                      ", *written)
print("  llama.cpp, from the file:                        ", *cpp)
print("  transformers, from the file:                     ", *given)
print("  transformers, with its configuration and mlp_bias:", *mended)
print("mlp_bias:", plain.config.mlp_bias, "warnings:", len(told), "missing:", len(loading["missing_keys"]))
print("unexpected:", len(loading["unexpected_keys"]))
same = written[0] == cpp[0] == mended[0] and abs(written[1] - cpp[1]) < 0.02 and abs(written[1] - mended[1]) < 0.02
dropped = given[0] != written[0] and not plain.config.mlp_bias
if same and dropped and not told and not loading["missing_keys"] and not loading["unexpected_keys"]:
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
