#!/usr/bin/env bash
# transformers 5.23.0, with gguf 0.19.0, torch 2.13.0 and xllamacpp 2026.10.11549 (llama.cpp).
#
# Behaviour: a GGUF file says how rotary positions are scaled: llama.rope.scaling.type and .factor for linear scaling, and
#   a tensor rope_freqs.weight for the way of Llama 3.1 and later, which divides low frequencies by 8 or 32. transformers
#   reads scaling for gpt-oss alone. For other architectures it leaves both out, says nothing, and takes positions as they
#   are; so does the checkpoint that is saved from there.
# Expected: the model that the file holds, as llama.cpp computes it, or a refusal, or a warning.
# Seen: after 1,000 tokens the model that the file was made of and llama.cpp agree on the likeliest next token and its
#   log-probability. What transformers has read gives, for both ways of scaling, what it gives for a file without any:
#   another likeliest token than the file's at 92 and 32 of 100 places of that text. No warning, and nothing in
#   unexpected_keys.
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
import numpy as np
import torch
import transformers
import xllamacpp
from transformers import AutoModelForCausalLM, GgufConfig, LlamaConfig, LlamaForCausalLM

folder = Path(sys.argv[1])
WORDS, WIDTH, INNER, HEADS, BLOCKS, LENGTH, THETA = 64, 128, 160, 2, 2, 32768, 500000.0
SCALINGS = {
    "none": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}
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


def made(scaling: dict) -> LlamaForCausalLM:
    """The same random weights each time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
        initializer_range=0.2,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": THETA, **scaling},
    )
    return LlamaForCausalLM(config).eval()


def in_pairs(rows: np.ndarray) -> np.ndarray:
    """Rows of a query or key matrix in llama.cpp's order, in which a rotation's two rows are neighbours."""
    halves = rows.reshape(HEADS, 2, -1, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def write(model: LlamaForCausalLM, scaling: dict, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(LENGTH)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(THETA)
    writer.add_vocab_size(WORDS)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([chr(97 + index) for index in range(WORDS)])
    writer.add_token_merges(["a b"])
    if scaling["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if scaling["rope_type"] == "llama3":
        unscaled = made(SCALINGS["none"]).model.rotary_emb.inv_freq
        writer.add_tensor("rope_freqs.weight", (unscaled / model.model.rotary_emb.inv_freq).numpy())
    for name, weight in model.named_parameters():
        rows = weight.detach().numpy()
        if "q_proj" in name or "k_proj" in name:
            rows = in_pairs(rows)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def next_by_llama_cpp(path: Path, ids: list[int]) -> tuple[int, float]:
    """The likeliest next token and its log-probability, in fp32."""
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel, settings.warmup = str(path), 2048, 1, False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(settings)
    reply = server.handle_completions({"prompt": ids, "max_tokens": 1, "temperature": 0, "n_probs": 1})
    (token,) = reply["choices"][0]["logprobs"]["content"]
    return token["id"], token["logprob"]


@torch.no_grad()
def answers(model: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities at each place."""
    return model(ids).logits[0].log_softmax(-1)


def likeliest(row: torch.Tensor) -> tuple[int, float]:
    return row.argmax().item(), row.max().item()


def alike(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) < 0.02


torch.manual_seed(2)
text = torch.randint(5, WORDS, (1, 1000))
print(f"transformers {transformers.__version__}, gguf {version('gguf')}, xllamacpp {version('xllamacpp')}")
so, seen = True, {}
for name, scaling in SCALINGS.items():
    model = made(scaling)
    write(model, scaling, folder / f"{name}.gguf")
    said.clear()
    read, loading = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=f"{name}.gguf",
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        output_loading_info=True,
    )
    about_it = [line for line in said if "rope" in line.lower() or "rotary" in line.lower()]
    right, given = answers(model, text), answers(read.eval(), text)
    other = (right.argmax(-1) != given.argmax(-1)).float().mean().item()
    by_cpp = next_by_llama_cpp(folder / f"{name}.gguf", text[0].tolist())
    print(f"scaling: {name}")
    print("  likeliest next token, and its log-probability")
    print("    the model that was written:     ", *(round(value, 2) for value in likeliest(right[-1])))
    print("    llama.cpp, from the file:       ", *(round(value, 2) for value in by_cpp))
    print("    transformers, from the file:    ", *(round(value, 2) for value in likeliest(given[-1])))
    print(f"  places with another likeliest one: {other:.0%}")
    print("  transformers' rope_type:          ", read.config.rope_parameters["rope_type"])
    print("  warnings, unexpected keys:        ", len(about_it), len(loading["unexpected_keys"]))
    seen[name] = given
    so = so and alike(likeliest(right[-1]), by_cpp) and not about_it and not loading["unexpected_keys"]
    so = so and (other == 0 if name == "none" else other > 0.2 and given.equal(seen["none"]))
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
