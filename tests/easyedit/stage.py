"""What behaviours are made of: their table, and models, facts and editors in one loaded EasyEdit."""

from __future__ import annotations

import copy
import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PLUGIN_FIRST, EASYEDIT_FIRST = "plugin-first", "easyedit-first"
BEHAVIOURS: dict[str, dict[str, Callable[[World], None]]] = {PLUGIN_FIRST: {}, EASYEDIT_FIRST: {}}


def behaviour(*orders: str) -> Callable[[Callable], Callable]:
    """Register a behaviour; it is tested in the given orders of import."""

    def register(function: Callable) -> Callable:
        for order in orders or (PLUGIN_FIRST,):
            BEHAVIOURS[order][function.__name__] = function
        return function

    return register


class Skipped(Exception):
    """A behaviour that cannot be seen in this environment, and why."""


class raises:
    """``pytest.raises`` for a message that holds certain words."""

    def __init__(self, error: type[Exception], *words: str) -> None:
        self.error, self.words = error, words

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> bool:
        assert kind is not None, f"{self.error.__name__} was not raised"
        if not issubclass(kind, self.error):
            return False
        missing = [word for word in self.words if word not in str(error)]
        assert not missing, f"{missing} not in {error}"
        return True


class World:
    """Models, facts and editors for one loaded EasyEdit."""

    def __init__(self, before: SimpleNamespace, after: SimpleNamespace) -> None:
        import toys

        from easyedit_ice import ALGORITHMS, BaseEditor

        self.before, self.after, self.toys, self.BaseEditor = before, after, toys, BaseEditor
        self.kind = "head" if "sequential_edit" in inspect.signature(BaseEditor.edit).parameters else "release"
        self.folder = Path(tempfile.mkdtemp())
        self.gpt2 = toys.save_gpt2(self.folder / "gpt2-tiny")
        self.weight = f"{toys.WEIGHT}.weight"
        self.demonstrations = [
            {
                "prompt": "The capital of Midland is",
                "target_new": "Middleby",
                "rephrase_prompt": "Midland has its capital in",
                "locality_prompt": "Wood comes from",
                "locality_ground_truth": "trees",
            }
        ]
        ALGORITHMS.add(toys.TOY)

    def editor(self, **settings: Any) -> Any:
        """An editor for the toy algorithm."""
        given = settings.pop("model_name", str(self.gpt2))
        name = settings.pop("alg_name", "Toy")
        hparams = self.toys.ToyHyperParams(**{"device": "cpu", **settings})
        hparams.model_name, hparams.alg_name = given, name
        return self.BaseEditor.from_hparams(hparams)

    def own_editor(self, name: str, **changes: Any) -> Any:
        """An editor for one of EasyEdit's own algorithms."""
        import easyeditor

        settings = {
            **_OWN[name],
            "alg_name": name,
            "model_name": str(self.gpt2),
            "device": "cpu",
            "stats_dir": str(self.folder / "stats"),
            "results_dir": str(self.folder / "results"),
            **changes,
        }
        kind = getattr(easyeditor, f"{name}HyperParams")
        known = inspect.signature(kind).parameters
        return self.BaseEditor.from_hparams(kind(**{key: settings[key] for key in settings if key in known}))

    def facts(self, *names: str) -> dict[str, Any]:
        """A copy of the facts: EasyEdit changes what it is given."""
        return copy.deepcopy({name: self.toys.FACTS[name] for name in names or self.toys.FACTS})

    def edit(self, editor: Any, stay: bool, **options: Any) -> Any:
        """Edit both facts, each restored or both staying, as this EasyEdit is told so."""
        mode = {"sequential_edit": stay} if self.kind == "head" else {"keep_original_weight": not stay}
        return editor.edit(**self.facts(), **mode, **options)

    def state(self, editor: Any) -> dict[str, bytes]:
        """The bits of every tensor of the editor's model."""
        return {name: tensor.cpu().numpy().tobytes() for name, tensor in editor.model.state_dict().items()}

    def save_statistics(self) -> None:
        """Second moments of MEMIT's keys, in the files in which EasyEdit caches them."""
        import numpy
        import torch
        from easyeditor.util.runningstats import CombinedStat, SecondMoment

        name = self.gpt2.name if self.kind == "head" else str(self.gpt2).replace("/", "_")
        folder = self.folder / "stats" / name / "wikipedia_stats"
        folder.mkdir(parents=True)
        for layer in (0, 1):
            moment = SecondMoment()
            moment.add(torch.randn(500, 128))
            state = CombinedStat(mom2=moment).state_dict() | {"sample_size": 10}
            numpy.savez(folder / f"transformer.h.{layer}.mlp.c_proj_float32_mom2_10.npz", **state)


_TEMPLATES = {
    "rewrite_module_tmp": "transformer.h.{}.mlp.c_proj",
    "layer_module_tmp": "transformer.h.{}",
    "mlp_module_tmp": "transformer.h.{}.mlp",
    "attn_module_tmp": "transformer.h.{}.attn",
    "ln_f_module": "transformer.ln_f",
    "lm_head_module": "transformer.wte",
}
_ROME = _TEMPLATES | {
    "layers": [0], "fact_token": "subject_last", "v_num_grad_steps": 2, "v_lr": 0.5, "v_loss_layer": 1,
    "v_weight_decay": 0.5, "clamp_norm_factor": 4, "kl_factor": 0.06, "mom2_adjustment": False,
    "context_template_length_params": [[5, 5]], "mom2_dataset": "wikipedia", "mom2_n_samples": 10,
    "mom2_dtype": "float32",
}  # fmt: skip
_OWN = {
    "ROME": _ROME,
    "MEMIT": _ROME | {"layers": [0, 1], "layer_selection": "all", "mom2_update_weight": 10, "mom2_adjustment": True},
    "FT": _TEMPLATES | {
        "layers": [0], "num_steps": 2, "lr": 1e-2, "weight_decay": 0, "kl_factor": 0, "norm_constraint": False,
        "batch_size": 1, "objective_optimization": "prompt_last",
    },
    "LoRA": {
        "lora_type": "adalora", "layers": [], "num_steps": 2, "batch_size": 1, "lr": 5e-3, "weight_decay": 0,
        "kl_factor": 0, "norm_constraint": False, "target_modules": ["c_attn"], "rank": 4, "lora_alpha": 32,
        "lora_dropout": 0.1,
    },
    "IKE": {"k": 1, "sentence_model_name": "toy-encoder"},
}  # fmt: skip
