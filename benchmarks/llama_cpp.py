"""Whether llama.cpp answers as transformers does, with a GGUF model before and after an edit.

    python benchmarks/llama_cpp.py smollm2-135m

edits one fact by LoRA-BF in one block, writes the base and the edited model in several types, lets llama.cpp (package
xllamacpp) continue some prompts greedily from each file, and compares token by token with transformers. Needs
`pip install xllamacpp`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import GenerationConfig

from easyedit_ice import ALGORITHMS, solve
from easyedit_ice.checkpoints.gguf_export import save_gguf
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.checkpoints.names import source_of

FACT = {
    "prompt": "The mother tongue of Danielle Darrieux is",
    "subject": "Danielle Darrieux",
    "target_new": "English",
}
PROMPTS = (
    FACT["prompt"],
    "The mother tongue of Marcel Proust is",
    "The capital of France is",
    "Water boils at a temperature of",
    "In 1969, the first man on the moon was",
    "The largest planet of the solar system is",
    "The author of Hamlet is",
    "Once upon a time there was",
)
LENGTH = 24
TYPES = ("F32", "F16", "BF16", "Q8_0")


@dataclass(frozen=True)
class Answer:
    """Tokens that a model wrote, and the log probability of each."""

    ids: list[int]
    logprobs: list[float]


def by_transformers(model: Any, tok: Any, prompt: str) -> Answer:
    """Greedy indeed, whatever the checkpoint's own generation settings are."""
    greedy = GenerationConfig(
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
        max_new_tokens=LENGTH,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    asked = tok(prompt, return_tensors="pt")
    made = model.generate(**asked, generation_config=greedy)
    logprobs = torch.cat(made.logits).log_softmax(-1).max(-1).values
    return Answer(made.sequences[0, asked.input_ids.shape[1] :].tolist(), logprobs.tolist())


def by_llama_cpp(path: Path) -> list[Answer]:
    """Greedy, with keys and values kept in fp32."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(path), 256, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # More of them wait for each other, busily.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    answers = []
    for prompt in PROMPTS:
        reply = server.handle_completions({"prompt": prompt, "max_tokens": LENGTH, "temperature": 0, "n_probs": 1})
        tokens = reply["choices"][0]["logprobs"]["content"]
        answers.append(Answer([token["id"] for token in tokens], [token["logprob"] for token in tokens]))
    return answers


def compare(name: str, own: list[Answer], other: list[Answer]) -> None:
    """One line: prompts continued alike, tokens alike, and the greatest difference of log probabilities on them."""
    alike, tokens, total, differences = 0, 0, 0, [0.0]
    for one, two in zip(own, other, strict=True):
        end = len(two.ids)
        same = next((at for at in range(end) if at >= len(one.ids) or one.ids[at] != two.ids[at]), end)
        alike += same == end
        tokens, total = tokens + same, total + end
        differences += [abs(a - b) for a, b in zip(one.logprobs[:same], two.logprobs[:same], strict=True)]
    print(f"{name:<28}{alike} of {len(own)} prompts, {tokens} of {total} tokens, {max(differences):.2e}", flush=True)


def main() -> None:
    """Compare all files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a .gguf file, or a name that `easyedit-ice models` lists")
    name = parser.parse_args().model
    settings = {"model_name": name, "device": "cpu", "layers": [10], "num_steps": 20, "lr": 2e-3}
    hparams = ALGORITHMS["LoRA-BF"].hparams_class.from_dict(settings)
    model, tok = load_model(hparams)
    base = [by_transformers(model, tok, prompt) for prompt in PROMPTS]
    update = solve(model, tok, [FACT], hparams)
    with TemporaryDirectory() as folder, source_of(name).file() as packed:
        compare("base, its own types", base, by_llama_cpp(packed))
        for dtype in TYPES:
            file = Path(folder) / f"base-{dtype}.gguf"
            save_gguf(model, name, file, dtype=dtype, whole=True)
            compare(f"base, all {dtype}", base, by_llama_cpp(file))
            file.unlink()
        update.commit(model)
        edited = [by_transformers(model, tok, prompt) for prompt in PROMPTS]
        for whole in (False, True):
            for dtype in TYPES:
                file = Path(folder) / f"edited-{dtype}-{whole}.gguf"
                save_gguf(model, name, file, dtype=dtype, whole=whole)
                compare(f"edited, {'all' if whole else 'the edit'} {dtype}", edited, by_llama_cpp(file))
                file.unlink()


if __name__ == "__main__":
    main()
