"""Our scores beside those of the EasyEdit that is loaded; run in a process of its own, since a process holds one.

    python against_easyedit.py OUT.json [FOLDER_OF_PUBLISHED_FILES]

writes for each case what was compared, and every request whose scores differ.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from easyedit_ice import BaseEditor, LoraHyperParams, factworld
from easyedit_ice.data import load_records, to_edit_kwargs, to_requests
from easyedit_ice.easyedit import host_info
from easyedit_ice.easyedit.scoring import easyedit_qualities
from easyedit_ice.errors import UnscorableProbeError
from easyedit_ice.evaluation.fluency import n_gram_entropy, sampled_texts, words
from easyedit_ice.evaluation.teacher_forced.batch_forms import form_for
from easyedit_ice.evaluation.teacher_forced.forced_answers import ask
from easyedit_ice.evaluation.teacher_forced.host_rows import lay_out
from easyedit_ice.evaluation.teacher_forced.host_scores import edit_qualities, probe_groups, with_locality
from easyedit_ice.testing.tiny_models import SHAPES

MAX_LENGTH = 96
LONG = "A story of many people who came from far away to see the river and the hills, " * 8
PARTS = 4
"""Each case gets a part of the published records."""
PUBLISHED = {"wiki_counterfact/test_cf_dev.json": 100, "ZsRE/ZsRE-test-dev.json": 100}


def fact(prompt: str, target: str, **probes: Any) -> dict[str, Any]:
    return {"prompt": prompt, "target_new": target, "ground_truth": "<|endoftext|>", "rephrase_prompt": None, **probes}


def kind(*pairs: tuple[str, str]) -> dict[str, list[str]]:
    return {"prompt": [prompt for prompt, _ in pairs], "ground_truth": [answer for _, answer in pairs]}


ODD = [
    fact("The mayor of<|endoftext|>Brethdale is", "Faeso<|endoftext|>Faerkov"),
    fact("<|endoftext|>", "Brethdale"),
    fact("Brethdale lies in ", "Skandhaven"),
    fact("Brethdale lies in\n", " Skandhaven "),
    fact("東京は", "日本の首都 🗼", rephrase_prompt="Où est Tōkyō ?"),
    fact("Yes or no?", "a", portability={"short": kind(("Yes or no?", "a"), ("A longer question than that:", "b"))}),
    fact(
        "The river of Brethdale is the",
        "Garkane",
        locality={
            "mixed": kind((LONG, "end"), ("It is", ""), ("<|endoftext|>It<|endoftext|> is", "so "), ("x  ", "  y")),
            "one": kind(("The sky is", "blue")),
        },
        portability={"mixed": kind((LONG, "end"), ("It is", ""), ("Is", "<|endoftext|>"), ("🗼", "🗼🗼"))},
    ),
]
FAILING = [fact(LONG, "end"), fact("", "so")]
"""EasyEdit fails on an empty prompt, and the release on one that fills ``max_length``."""


def models() -> Iterator[tuple[str, Any, Any]]:
    """Every case: a name, a model, and a tokenizer with its padding side."""
    from transformers import AutoModelForCausalLM, OPTConfig

    tok = factworld.load()[1]
    tok.pad_token = tok.eos_token
    shapes = {shape.name.rpartition("(")[2].partition(")")[0]: shape.config(len(tok)) for shape in SHAPES[:3:2]}
    shapes["OPT"] = OPTConfig(
        vocab_size=len(tok),
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=32,
    )
    for dtype in (torch.float32, torch.bfloat16):
        found = {"embedded": factworld.load()[0]}
        for name, config in shapes.items():
            config.max_position_embeddings = 512
            torch.manual_seed(0)
            found[name] = AutoModelForCausalLM.from_config(config).eval()
        for name, model in found.items():
            for side in ("left", "right"):
                sided = copy(tok)
                sided.padding_side = side
                yield f"{name} {str(dtype).removeprefix('torch.')} {side}", model.to(dtype), sided


def published(folder: Path | None) -> list[dict[str, Any]]:
    if folder is None:
        return []
    return [
        request for file, size in PUBLISHED.items() for request in to_requests(load_records(folder / file, size=size))
    ]


def equal_scores(model: Any, tok: Any, requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Which requests have other scores than EasyEdit's, and what was compared."""
    ours = edit_qualities(model, tok, requests, max_length=MAX_LENGTH, host=host_info().kind)
    theirs = easyedit_qualities(model, tok, requests, SimpleNamespace(max_length=MAX_LENGTH, alg_name="FT"))
    groups = [pairs for request in requests for *_, pairs in probe_groups(request)]
    rows = lay_out(tok, groups, max_length=MAX_LENGTH, host=host_info().kind, pad=tok.pad_token_id)
    with torch.no_grad():
        form = form_for(model, rows)
    return {
        "different": [[a, b] for a, b in zip(ours, theirs, strict=True) if a != b],
        "probes": sum(map(len, groups)),
        "groups": len(groups),
        "settled": len(ask(model, rows).settled),
        "form": "none" if form is None else "stripped" if form.stripped else "padded",
    }


def failures(model: Any, tok: Any) -> dict[str, bool]:
    """For each odd request, whether we refuse it and EasyEdit fails on it."""

    def fails(error: type[Exception], score: Any, *arguments: Any, **settings: Any) -> bool:
        try:
            score(model, tok, *arguments, **settings)
        except error:
            return True
        return False

    hparams = SimpleNamespace(max_length=MAX_LENGTH, alg_name="FT")
    return {
        str(request): (
            fails(UnscorableProbeError, edit_qualities, [request], max_length=MAX_LENGTH, host=host_info().kind),
            fails(Exception, easyedit_qualities, [request], hparams),
        )
        for request in [*ODD, *FAILING]
    }


def edited() -> dict[str, Any]:
    """The metrics of a ``BaseEditor.edit`` that stays, and ours of the same model before and after."""
    model, tok = factworld.load()
    hparams = LoraHyperParams.from_hparams("LoRA-BF/gpt2-factworld", device="cpu")
    hparams.model_name = (model, tok)
    editor = BaseEditor.from_hparams(hparams)
    records = load_records("factworld", size=1)
    requests, host = to_requests(records), host_info().kind
    settings = {"max_length": hparams.max_length, "host": host}
    before = edit_qualities(model, editor.tok, requests, **settings)[0]
    mode = {"sequential_edit": True} if host == "head" else {"keep_original_weight": False}
    with redirect_stdout(io.StringIO()):
        metrics, model, _ = editor.edit(**to_edit_kwargs(records), **mode)
    after = edit_qualities(model, editor.tok, requests, **settings)[0]
    return {"theirs": metrics[0]["post"], "ours": with_locality(before, after, host=host), "before": before}


def texts() -> dict[str, list[str]]:
    """What is drawn after prompts, by the loaded EasyEdit and by us; and what EasyEdit's formula says of the words."""
    from easyeditor.util.generate import generate_fast

    model, tok = factworld.load()
    tok.pad_token = tok.eos_token
    # By this name, head hands the model no mask.
    model.name_or_path = "llama"
    prompts = [record["prompt"] for record in factworld.records("dev")[:6]] + [LONG]
    theirs = []
    for prompt in prompts:
        torch.manual_seed(7)
        theirs += generate_fast(model, tok, [prompt], max_out_len=100)
    return {"theirs": theirs, "ours": sampled_texts(model, tok, prompts, seed=7)}


def entropies() -> dict[str, list[float]]:
    """EasyEdit's entropies of texts that nltk splits into words without its data, and ours."""
    import nltk
    from easyeditor.evaluate import evaluate_utils

    samples = [*(fact["prompt"] for fact in ODD), LONG, "a", "a b a b a b", "It's Mr. X. Is it?"]
    original = nltk.word_tokenize
    nltk.word_tokenize = lambda text: original(text, preserve_line=True)
    try:
        theirs = [evaluate_utils.compute_n_gram_entropy(sample) for sample in samples]
    finally:
        nltk.word_tokenize = original
    return {"theirs": theirs, "ours": [n_gram_entropy(words(sample)) for sample in samples]}


def main(out: Path, folder: Path | None) -> None:
    """Run everything and write what was found."""
    requests = [*to_requests(load_records("factworld", size=20)), *ODD]
    real = published(folder)
    cases = {
        name: equal_scores(model, tok, [*requests, *real[number % PARTS :: PARTS]])
        for number, (name, model, tok) in enumerate(models())
    }
    _, model, tok = next(models())
    found = {"cases": cases, "failures": failures(model, tok), "edit": edited(), "texts": texts()}
    out.write_text(json.dumps(found | {"entropies": entropies()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
