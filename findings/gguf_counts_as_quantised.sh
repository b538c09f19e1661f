#!/usr/bin/env bash
# transformers 5.23.0, with gguf 0.19.0 and torch 2.13.0.
#
# Behaviour: a model that from_pretrained(folder, gguf_file=...) reads counts as quantised, although all of its weights
#   are plain float32 tensors. save_pretrained refuses it. With quantization_config=GgufConfig(dequantize=True) it has
#   the same weights, does not count as quantised, and can be saved.
# Expected: weights unpacked to float32 are those of an ordinary model.
# Seen: model.is_quantized is True and save_pretrained raises.
#
# Exits with 0 while this is so, with 1 once it has changed.
set -euo pipefail
python=${PYTHON:-python3.11}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 gguf==0.19.0 accelerate

cat >"$folder/seen.py" <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

try:
    from transformers import GgufConfig
except ImportError:
    print(f"transformers {transformers.__version__} has no GgufConfig. The behaviour has changed.")
    sys.exit(1)

folder = Path(sys.argv[1])
WORDS, WIDTH, INNER, HEADS, BLOCKS = 50, 64, 96, 4, 2
torch.manual_seed(0)
made = LlamaForCausalLM(
    LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
)
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
writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
writer.add_context_length(64)
writer.add_embedding_length(WIDTH)
writer.add_block_count(BLOCKS)
writer.add_feed_forward_length(INNER)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_layer_norm_rms_eps(1e-6)
writer.add_rope_dimension_count(WIDTH // HEADS)
writer.add_vocab_size(WORDS)
writer.add_tokenizer_model("gpt2")
writer.add_token_list([chr(97 + index) for index in range(WORDS)])
writer.add_token_merges(["a b"])
for name, weight in made.named_parameters():
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    writer.add_tensor(name, weight.detach().numpy())
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()


def read(**options):
    return AutoModelForCausalLM.from_pretrained(folder, gguf_file="tiny.gguf", **options)


def saved(model, name: str) -> str:
    try:
        model.save_pretrained(folder / name)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(' - ')[0]}"
    return "saved"


plain, unpacked = read(), read(quantization_config=GgufConfig(dequantize=True))
types = {tensor.dtype for tensor in plain.state_dict().values()}
same = all(map(torch.equal, plain.state_dict().values(), unpacked.state_dict().values()))
first, second = saved(plain, "plain"), saved(unpacked, "unpacked")
print(f"transformers {transformers.__version__}, gguf {version('gguf')}")
print("types of its weights:                ", types)
print("the same weights both ways:          ", same)
print("gguf_file= alone, is_quantized:      ", getattr(plain, "is_quantized", False))
print("gguf_file= alone, save_pretrained:   ", first)
print("GgufConfig(dequantize=True):         ", second)
if types == {torch.float32} and same and first != "saved" and second == "saved":
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py" "$folder"
