"""The path of real KnowEdit records through ``BaseEditor``: does every one pass, and are the metrics EasyEdit's?

ICE-LoRA and EasyEdit's ROME edit the same records on a random model of GPT-2's architecture and tokenizer. Whether
the edits are any good is not asked. Checked are the keys of the metrics, record by record, and that the model is
restored to the same bits.

    python benchmarks/knowedit_path.py --data-dir ../shared/data --records 50
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from easyedit_ice import BaseEditor, IceLoraHyperParams
from easyedit_ice.cli.console import working
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import host_info
from easyedit_ice.easyedit.methods.host_settings import host_settings

FILES = {"WikiData_counterfact": "wiki_counterfact/test_cf*.json", "ZsRE": "ZsRE/ZsRE-test*.json"}
TOKENIZER = "gpt2-tokenizer"
KNOWN_TEXT, KNOWN_TOKENS = "The capital of France is", [464, 3139, 286, 4881, 318]


def main() -> None:
    """Run, print a report, and end with an error if anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help=f"holds {', '.join(FILES.values())}, {TOKENIZER}/")
    parser.add_argument("--records", type=int, default=50, help="records of each benchmark")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    with TemporaryDirectory() as folder:
        model = _random_gpt2(Path(folder) / "gpt2-random", arguments.data_dir / TOKENIZER)
        found = {
            name: _compare(model, _records(arguments.data_dir, pattern, arguments.records))
            for name, pattern in FILES.items()
        }
    info = host_info()
    report = {
        "host": f"{info.kind} {info.version}",
        "versions": {package: version(package) for package in ("torch", "transformers", "peft")},
        "benchmarks": found,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"knowedit_path_{info.kind}.json").write_text(json.dumps(report, indent=1) + "\n")
    print(_text(report))
    if not all(result["ok"] for result in found.values()):
        raise SystemExit("not every record passed; see above")


@dataclass(frozen=True)
class _Run:
    """One method over the records it takes.

    Attributes:
        keys: of each record's metrics, by position among the records.
        seconds: of all edits with their evaluation.
        restored: whether every tensor has the bits it had.
    """

    keys: dict[int, frozenset[str]]
    seconds: float
    restored: bool


def _compare(model: Path, requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    takes_rome = [index for index, request in enumerate(requests) if _has_subject(request)]
    ice, rome = (
        _run(_ice_hparams(model), requests, range(len(requests))),
        _run(_rome_hparams(model), requests, takes_rome),
    )
    differing = [index for index in takes_rome if ice.keys[index] != rome.keys[index]]
    return {
        "records": len(requests),
        "edited": {"ICE-LoRA": len(ice.keys), "ROME": len(rome.keys)},
        "without their subject in the prompt, which ROME needs": sorted(set(range(len(requests))) - set(takes_rome)),
        "metrics keys differ": differing,
        "restored to the bit": {"ICE-LoRA": ice.restored, "ROME": rome.restored},
        "seconds": {"ICE-LoRA": round(ice.seconds, 1), "ROME": round(rome.seconds, 1)},
        "keys": dict(sorted(Counter(key for keys in ice.keys.values() for key in keys).items())),
        "ok": len(ice.keys) == len(requests) and not differing and ice.restored and rome.restored,
    }


def _run(hparams: Any, requests: Sequence[dict[str, Any]], positions: Sequence[int]) -> _Run:
    editor = BaseEditor.from_hparams(hparams)
    if editor.tok(KNOWN_TEXT)["input_ids"] != KNOWN_TOKENS:
        raise RuntimeError(f"the tokenizer is not GPT-2's: {KNOWN_TEXT!r} became {editor.tok.tokenize(KNOWN_TEXT)}")
    before = {name: tensor.clone() for name, tensor in editor.model.state_dict().items()}
    started = time.perf_counter()
    with working():
        metrics, _, _ = editor.edit_requests([requests[i] for i in positions], keep_original_weight=True, verbose=False)
    seconds = time.perf_counter() - started
    restored = all(torch.equal(before[name], tensor) for name, tensor in editor.model.state_dict().items())
    paths = {i: frozenset(_paths(of_record)) for i, of_record in zip(positions, metrics, strict=True)}
    return _Run(paths, seconds, restored)


def _paths(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys of nested metrics, joined by dots; the request they repeat is left out."""
    for key, value in metrics.items():
        if isinstance(value, Mapping) and value and key != "requested_rewrite":
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _has_subject(request: Mapping[str, Any]) -> bool:
    return request.get("subject", "\0") in request["prompt"]


def _records(folder: Path, pattern: str, count: int) -> list[dict[str, Any]]:
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise SystemExit(f"{folder} holds no {pattern}")
    return to_requests(load_records(paths[0]))[:count]


def _random_gpt2(folder: Path, tokenizer: Path) -> Path:
    """A checkpoint of two narrow blocks, with GPT-2's own tokenizer."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    end = "<|endoftext|>"
    folder.mkdir()
    # Without tokenizer.json, transformers 5 would tokenise by vocab.json alone, without the merges.
    bpe = ByteLevelBPETokenizer(str(tokenizer / "vocab.json"), str(tokenizer / "merges.txt"))
    bpe.save(str(folder / "tokenizer.json"))
    tok = GPT2TokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), bos_token=end, eos_token=end, unk_token=end)
    tok.save_pretrained(folder)
    torch.manual_seed(0)
    ends = {"bos_token_id": tok.eos_token_id, "eos_token_id": tok.eos_token_id}
    GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=2, **ends)).save_pretrained(folder)
    return folder


def _ice_hparams(model: Path) -> IceLoraHyperParams:
    return IceLoraHyperParams(
        model_name=str(model),
        device="cpu",
        num_steps=2,
        num_contexts=1,
        continuation_samples=1,
        continuation_length=4,
        free_samples=1,
        free_length=4,
        locality_samples=4,
        locality_length=8,
        neighbour_names=4,
        neighbour_rows=2,
    )


def _rome_hparams(model: Path) -> Any:
    changes = {
        "model_name": str(model),
        "layers": [0],
        "v_loss_layer": 1,
        "v_num_grad_steps": 2,
        "context_template_length_params": [[5, 5]],
        "mom2_adjustment": False,
        "max_length": 512,
    }
    return host_settings("ROME", "gpt2-factworld", changes)


def _text(report: Mapping[str, Any]) -> str:
    lines = [f"EasyEdit {report['host']}"]
    for name, result in report["benchmarks"].items():
        left_out = len(result["without their subject in the prompt, which ROME needs"])
        lines += [
            f"{name}: {result['edited']['ICE-LoRA']} of {result['records']} records edited with ICE-LoRA "
            f"({result['seconds']['ICE-LoRA']} s), {result['edited']['ROME']} with ROME "
            f"({result['seconds']['ROME']} s; {left_out} have no subject in their prompt)",
            f"  metrics keys equal: {not result['metrics keys differ']}; "
            f"restored to the bit: {all(result['restored to the bit'].values())}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
