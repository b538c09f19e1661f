"""Our values and updates beside those of the EasyEdit that is loaded; run in a process of its own.

    python beside_easyedit.py OUT.json

writes for each case how far the two are apart, relative to EasyEdit's.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import host_info, import_easyeditor
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, place_of
from easyedit_ice.editors.algorithms.fast_rome import FastROMEHyperParams
from easyedit_ice.editors.closed_form.layer_writes import write_facts
from easyedit_ice.editors.closed_form.open_directions import Open
from easyedit_ice.editors.closed_form.subject_rows import FactRows, fact_rows
from easyedit_ice.editors.closed_form.value_search import Search, find_values
from easyedit_ice.precompute.moments import Measuring, factors, moments
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.prefixes import context_prefixes

WEIGHT = 100.0
NAMES = {  # of modules, in EasyEdit's settings
    "GPT-2": {},
    "Llama": {
        "rewrite_module_tmp": "model.layers.{}.mlp.down_proj",
        "layer_module_tmp": "model.layers.{}",
        "mlp_module_tmp": "model.layers.{}.mlp",
        "attn_module_tmp": "model.layers.{}.self_attn",
        "ln_f_module": "model.norm",
        "lm_head_module": "model.embed_tokens",
    },
}


def cases() -> Iterator[tuple[str, nn.Module, Any, list[dict[str, Any]], list[int], dict[str, Any]]]:
    """Name, model, tokenizer, facts, layers, and EasyEdit's names of modules."""
    facts = to_requests(load_records("factworld", split="dev").records[:6])
    yield "embedded", *factworld.load(), facts, [2], NAMES["GPT-2"]
    yield "embedded, three layers", *factworld.load(), facts, [1, 2, 3], NAMES["GPT-2"]
    for shape in SHAPES:
        if shape.dtype == torch.float32:
            names = NAMES["Llama" if "Llama" in shape.name else "GPT-2"]
            model = shape.build()
            head = {} if model.config.tie_word_embeddings else {"lm_head_module": "lm_head"}
            yield shape.name, model, tokenizer(), list(FACTS), [0, 1], names | head


def settings(method: str, layers: list[int], model: nn.Module, names: dict[str, Any]) -> Any:
    """EasyEdit's hyperparameters, of the preset of the embedded model."""
    changes = {"layers": layers, "v_loss_layer": model.config.num_hidden_layers - 1} | names
    return host_settings(method, "gpt2-factworld", changes)


def search(given: Any, scale: Literal["block", "projection"]) -> Search:
    return Search(
        num_grad_steps=given.v_num_grad_steps,
        lr=given.v_lr,
        weight_decay=given.v_weight_decay,
        kl_factor=given.kl_factor,
        clamp_norm_factor=given.clamp_norm_factor,
        stop_loss=0.05,
        loss_layer=None,
        scale=scale,
    )


def apart(ours: Tensor, theirs: Tensor) -> float:
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()


def prepared(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requests as EasyEdit's functions get them after its own preparation."""
    return [
        fact | {"target_new": f" {fact['target_new']}", "prompt": fact["prompt"].replace(fact["subject"], "{}")}
        for fact in facts
    ]


def reads_alike(tok: Any, request: dict[str, Any], rows: FactRows) -> bool:
    """Whether EasyEdit gets the tokens of the fact: it cuts off a target's last one and tokenises the rest anew."""
    target = tok.encode(request["target_new"], add_special_tokens=False)
    text = request["prompt"].format(request["subject"]) + tok.decode(target[:-1])
    bare = rows.stated[0]
    return tuple(tok.encode(text)) == bare.ids[:-1] and tuple(target) == bare.predicted


def compare(
    name: str, model: nn.Module, tok: Any, facts: list[dict[str, Any]], layers: list[int], names: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    tok.padding_side = "right"
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    given = settings("MEMIT", layers, model, names)
    requests = EditRequest.prepare(facts, needs_subject=True)
    prefixes = context_prefixes(model, tok, [(10, 5)], seed=0)
    templates = [["{}"], [f"{prefix.translate({123: None, 125: None})}{{}}" for prefix in prefixes[1:]]]
    prefixes = ("", *(template[:-2] for template in templates[1]))
    rows = [fact_rows(tok, request, prefixes) for request in requests]
    place = place_of(model, FastMEMITHyperParams(layers=layers))
    layer = min(layers[-1], model.config.num_hidden_layers - 2)  # above the last, only rounding is left to descend
    values = find_values(model, rows, place.names[layers.index(layer)], search(given, "block"))

    theirs = import_module(f"{PACKAGE}.models.memit.compute_z")
    found = zip(values.origin, values.delta, rows, prepared(facts), strict=True)
    alike = [(h + delta, request) for h, delta, row, request in found if reads_alike(tok, request, row)]
    z = [(ours, theirs.compute_z(model, tok, request, given, layer, templates)) for ours, request in alike]
    yield f"{name}: values", [apart(*both) for both in z]

    measuring = Measuring("factworld", dynamic_multiplier=10)
    known = {path: moment for path, (moment, _) in moments(model, tok, place.names, measuring).items()}
    for method, alpha in (("MEMIT", 1.0), ("EMMET", 0.1)):
        if method == "EMMET" and host_info().kind == "release":
            continue
        found = factors(model, tok, place.names, measuring, weight=WEIGHT, ridge=0.0)
        opened = {name: Open(factor) for name, factor in found.items()}
        ours = write_facts(model, tok, requests, prefixes, place, opened, search(given, "block"), alpha=alpha)
        hparams = settings(method, layers, model, names)
        hparams.mom2_update_weight = WEIGHT
        if method == "EMMET":
            hparams.emmet_lambda, hparams.update_norm_lambda = alpha, 0.0
        main = import_module(f"{PACKAGE}.models.{method.lower()}.{method.lower()}_main")
        with replaced(
            main,
            get_context_templates=lambda *args: templates,
            compute_z=Given(ours.values.origin + ours.values.delta),
            get_cov=lambda model, tok, name, *args, **kwargs: known[name].clone(),
        ):
            deltas = getattr(main, f"execute_{method.lower()}")(model, tok, facts, hparams)
        for path in place.names:
            left, right = deltas[f"{path}.weight"]
            matrix = ours.deltas[path].matrix()
            yield f"{name}: update of {method}, {path}", [apart(matrix, (left @ right.T).T)]


def compare_rome() -> Iterator[tuple[str, Any]]:
    """Without contexts, where ROME's two keys are one."""
    model, tok = factworld.load()
    tok.padding_side = "right"
    fact = to_requests(load_records("factworld", split="dev").records[:1])
    given = settings("ROME", [2], model, {})
    hparams = FastROMEHyperParams(layers=[2])
    place = place_of(model, hparams)
    measuring = Measuring("factworld")
    found = factors(model, tok, place.names, measuring, weight=1.0, ridge=0.0)
    opened = {name: Open(factor) for name, factor in found.items()}
    [(moment, _)] = moments(model, tok, place.names, measuring).values()
    requests = EditRequest.prepare(fact, needs_subject=True)
    ours = write_facts(model, tok, requests, ("",), place, opened, search(given, "projection"), alpha=0.0)
    main = import_module(f"{PACKAGE}.models.rome.rome_main")
    compute_u = import_module(f"{PACKAGE}.models.rome.compute_u")
    with (
        replaced(main, get_context_templates=lambda *args: ["{}"]),
        replaced(compute_u, get_inv_cov=lambda *args, **kwargs: torch.inverse(moment).float()),
    ):
        deltas = main.execute_rome(model, tok, fact[0], given)
    [(left, right)] = deltas.values()
    [delta] = ours.deltas.values()
    yield "ROME: update", [apart(delta.matrix(), torch.outer(right, left))]


class Given:
    """``compute_z`` whose results are known, in their order."""

    def __init__(self, values: Tensor) -> None:
        self._values = iter(values)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return next(self._values).clone()


@contextmanager
def replaced(module: Any, **attributes: Any) -> Iterator[None]:
    own = {name: getattr(module, name) for name in attributes}
    for name, value in attributes.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(module, name, value)


def main(out: str) -> None:
    import_easyeditor()
    found: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()):
        for case in cases():
            found |= dict(compare(*case))
        found |= dict(compare_rome())
    Path(out).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
