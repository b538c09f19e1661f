"""Settings of all that trains: what is trained, how, towards what, and what is kept as it is.

Every algorithm of the gradient path has all of these; the algorithms differ in their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.errors import HyperParamsError
from easyedit_ice.hparams import EditHyperParams, setting
from easyedit_ice.moments.texts import AUTO
from easyedit_ice.spectra import METHODS
from easyedit_ice.training.adapters import FORMS
from easyedit_ice.training.contexts import SOURCES, check_templates
from easyedit_ice.training.reinforce import BASELINES, REWARDS

ADAPTERS = ("lora", "adalora", "dora", "dense", "svf")
OBJECTIVES = ("ft", "ice", "reinforce")
OPTIMIZERS = ("adamw", "sgd")
PROTECTIONS = ("none", "hard", "soft")
ABOUT = ("subject", "target", "anything")


@dataclass
class AdapterSettings:
    """What is trained."""

    adapter: str = setting("lora", "form of the weight change", choices=ADAPTERS)
    target_modules: list[str] = setting(
        ["mlp.out"],
        "projections that are changed: mlp.in, mlp.out, attention.in, attention.out, all, or ends of their names",
    )
    layers: list[int] | None = setting(
        None, "blocks that are changed, negative from the last; None for those that depth tells"
    )
    depth: list[float] = setting(
        [0.18, 0.31],
        "where layers is None: the first and the last block that are changed, of the way through the model, 0 to 1",
    )
    rank: int = setting(16, "rank of each projection's change; of adalora the mean in the end", low=1)
    lora_alpha: float = setting(16.0, "the adapter's output is scaled by lora_alpha / rank", above=0)
    lora_dropout: float = setting(0.0, "dropout on the adapter's input while training", low=0, high=1)
    rank_allocation: str = setting(
        "fixed", "ranks: the same everywhere, or by the gradient as published GoRA has it", choices=("fixed", "gora")
    )
    rank_min: int = setting(4, "least rank that rank_allocation: gora gives", low=1)
    rank_max: int = setting(32, "greatest rank that rank_allocation: gora gives", low=1)
    init: str = setting(
        "zero",
        "start: random A; A along the facts' own keys; or a step down the gradient as published GoRA has it",
        choices=("zero", "keys", "gora"),
    )
    init_gain: float = setting(0.05, "γ of init: gora: length of that step, in norms of the gradient", above=0)
    init_r: int | None = setting(None, "adalora: rank at the start; None for one and a half times rank", low=2)
    tinit: int | None = setting(
        None, "adalora: optimiser steps before ranks fall; None for a tenth of num_steps' steps", low=0
    )
    tfinal: int | None = setting(
        None, "adalora: optimiser steps after ranks have fallen; None for half of num_steps' steps", low=0
    )
    deltaT: int = setting(1, "adalora: optimiser steps between two reductions of ranks", low=1)
    orth_reg_weight: float = setting(0.1, "adalora: weight of the factors' distance from orthogonality", low=0)


@dataclass
class SpectralSettings:
    """What adapter: svf adds."""

    svd: str = setting("exact", "how weights are decomposed, once", choices=METHODS)
    svd_rank: int | None = setting(
        None, "greatest singular values that are found and scaled; None for all, which svd: randomised may not", low=1
    )
    spectral_form: str = setting(
        "diagonal",
        "what may change: singular values alone; elements in bands beside them; or elements beside them where the "
        "facts' gradient is greatest",
        choices=FORMS,
    )
    off_diagonals: int = setting(
        1, "banded: diagonals on either side of the singular values; top: elements of each projection", low=1
    )
    sum_normalised: bool = setting(False, "keep the sum of singular values, as Transformer² does")


@dataclass
class ScheduleSettings:
    """How it is trained."""

    objective: str = setting(
        "ft",
        "fine-tuning on the target; in-context editing besides; or reinforcement by the model's own answers instead",
        choices=OBJECTIVES,
    )
    num_steps: int = setting(100, "most passes over the facts of a batch", low=1)
    optimizer: str = setting(
        "adamw",
        "adamw, or sgd, which moves what the gradient points at alone and so changes less; its lr is far greater",
        choices=OPTIMIZERS,
    )
    lr: float | None = setting(
        None, "learning rate; None for the one at which a first step moves general text by step_drift", above=0
    )
    step_drift: float = setting(
        3e-6, "where lr is None: divergence of plain statements from before the first step, in nats per token", above=0
    )
    momentum: float = setting(0.9, "sgd: share of the last step that is gone again", low=0, high=1)
    weight_decay: float = setting(0.0, "weight decay", low=0)
    max_grad_norm: float | None = setting(1.0, "gradients are scaled down to this norm", above=0)
    evenness: float = setting(
        0.0,
        "how evenly projections share a step: 0 as their gradients say, 1 all alike, 2 so that each lowers the loss "
        "alike; for optimizer: sgd",
        low=0,
    )
    mini_batch_size: int = setting(16, "facts in one optimiser step", low=1)
    micro_batch_size: int = setting(4, "most facts in one forward and backward pass; fewer take less memory", low=1)
    activation_budget: float | None = setting(
        None, "MiB for the activations of such a pass, by estimate: as few facts as that takes", above=0
    )
    data_parallel: bool = setting(
        False, "share each mini-batch among the processes of accelerate launch; all of them must solve the same facts"
    )
    append_eos: bool | None = setting(
        None,
        "train the end of text after the target, or in a chat the end of the turn, so that generation stops there; "
        "nothing where the tokenizer has none; None where the model ends its own answers",
    )
    random_prefixes: int = setting(
        0, "texts of the model's own that each fact is stated behind as well, for other wordings", low=0
    )
    prefix_length: int = setting(8, "their most tokens", low=1)
    stop_nll: float | None = setting(
        0.05,
        "a fact rests while its target's loss is below this, in nats per token; None for a fixed number of steps",
        above=0,
    )
    clamp: float | None = setting(None, "bound on the absolute value of every element of the weight change", above=0)
    mixed_precision: str = setting("no", "type of the forward passes in training", choices=("no", "bf16"))
    gradient_checkpointing: bool = setting(False, "recompute activations in the backward pass to save memory")


@dataclass
class SurroundingsSettings:
    """What is kept as it is, by example."""

    locality_weight: float = setting(0.0, "weight of the divergence from the unedited model on general text", low=0)
    locality_samples: int = setting(16, "general texts the model writes for that", low=1)
    locality_length: int = setting(16, "their length in tokens", low=2)
    locality_rows: int = setting(4, "how many of them each step looks at", low=1)
    neighbour_weight: float = setting(
        0.0, "weight of the same divergence after the fact's prompt with other names in place of the subject", low=0
    )
    neighbour_names: int = setting(
        16, "names for that, from the general texts: those that the model is surest about", low=1
    )
    neighbour_length: int = setting(4, "tokens after each such prompt", low=1)
    neighbour_rows: int = setting(4, "how many of them each step looks at, for each fact", low=1)


@dataclass
class ProtectionSettings:
    """What is kept as it is, by construction: directions of inputs that the change must not read."""

    protection: str = setting(
        "none",
        "of general text and of earlier edits: none, hard (leading directions are not read at all), or soft (each "
        "direction the less, the more it is used)",
        choices=PROTECTIONS,
    )
    protected_energy: float = setting(0.9, "hard: share of general text's energy that is protected", above=0, high=1)
    protected_rank: int | None = setting(
        None, "most directions of general text; None for 1024, and hard for a quarter of the inputs at most", low=1
    )
    softness: float = setting(
        0.001, "soft: energy, in units of general text's mean direction, of a direction that is half protected", above=0
    )
    memory_softness: float = setting(1.0, "soft: the same for the energy of a key of an earlier edit", above=0)
    neighbour_softness: float | None = setting(
        None,
        "soft: the same for the energy of what is read where the prompt has other names in place of the subject, as "
        "neighbour_weight chooses them, or the subject's first words; hard protects memory_energy of it, whatever the "
        "number; None for nothing of it",
        above=0,
    )
    memory_energy: float = setting(
        0.95, "hard: share of an earlier edit's keys' energy that is protected", above=0, high=1
    )
    memory_rank: int | None = setting(
        None, "most protected directions in all; None for the number of inputs, and hard for half of it", low=1
    )
    least_gradient: float = setting(
        0.2, "hard: protection gives way where it would leave less than this share of the gradient", low=0, high=1
    )
    mom2_dataset: str = setting(AUTO, "general text, as FastMEMIT names it")
    dynamic_multiplier: int = setting(3, "tokens of it for each input of a projection", low=1)


@dataclass
class InContextSettings:
    """What objective: ice adds."""

    ice_weight: float = setting(1.0, "λ: weight of the in-context term on continuations of the fact", low=0)
    free_weight: float = setting(1.0, "λ_free: weight of the in-context term on free text about the fact", low=0)
    free_about: list[str] = setting(
        list(ABOUT), f"how free texts begin, in turn: with any of {', '.join(ABOUT)}; what follows a mention counts"
    )
    teacher: str = setting(
        "static", "weights of the teacher: before the edit, or as they are now", choices=("static", "dynamic")
    )
    context_sources: list[str] = setting(["template"], f"where contexts come from: {', '.join(SOURCES)}")
    context_templates: list[str] | None = setting(
        None,
        "context statements, with {fact}, or {prompt} and {target}, in place of the fact; None for those that the "
        "model follows, measured once",
    )
    num_contexts: int = setting(5, "contexts of each fact", low=1)
    context_nll_weight: float = setting(
        0.0, "weight of the target's loss in context, which the paper's released code adds", low=0
    )
    continuation_samples: int = setting(8, "continuations drawn for each fact at a time", low=1)
    continuation_length: int = setting(8, "their most tokens", low=1)
    free_samples: int = setting(16, "free texts drawn for each fact at a time", low=1)
    free_length: int = setting(16, "their most tokens", low=1)
    ice_rows: int = setting(4, "continuations, and free texts, that each step looks at for each fact, in turn", low=1)
    resample_every: int = setting(0, "steps between two drawings; 0 to draw once", low=0)
    temperature: float = setting(1.0, "temperature of the drawing; the divergence is unaffected", above=0)
    top_k: int = setting(0, "draw among this many likeliest tokens; 0 for all", low=0)
    stop_kl: float | None = setting(
        None, "besides stop_nll: a fact rests while its in-context divergence is below this, in nats per token", above=0
    )


@dataclass
class ReinforceSettings:
    """What objective: reinforce adds."""

    answers: int = setting(16, "answers drawn for each fact at each step", low=1)
    answer_length: int = setting(12, "their most tokens", low=1)
    answer_temperature: float = setting(1.0, "temperature of the drawing", above=0)
    reward: str = setting(
        "exact",
        "1 for the target and -1 for anything else; or the share of the target's tokens that an answer begins with, "
        "from -1 to 1",
        choices=REWARDS,
    )
    reward_baseline: str = setting(
        "mean", "taken off a fact's rewards: nothing, or their mean over its answers", choices=BASELINES
    )
    reinforce_kl_weight: float = setting(0.1, "weight of the divergence from the unedited model on the answers", low=0)


@dataclass
class TrainingHyperParams(
    ReinforceSettings,
    InContextSettings,
    ProtectionSettings,
    SurroundingsSettings,
    ScheduleSettings,
    SpectralSettings,
    AdapterSettings,
    EditHyperParams,
):
    """Settings of every algorithm that trains."""

    gentler = "lower step_drift (or lr, where it is set), name fewer layers, or raise locality_weight"
    stronger = "raise num_steps, lower stop_nll, or raise step_drift (or lr, where it is set)"
    wider = "raise random_prefixes"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target_modules:
            raise HyperParamsError("target_modules is empty; name at least one kind of projection, such as mlp.out")
        if self.layers is not None and not self.layers:
            raise HyperParamsError("layers is empty; name at least one block, or leave it out")
        if len(self.depth) != 2 or not 0 <= self.depth[0] <= self.depth[1] <= 1:
            raise HyperParamsError(f"depth is {self.depth}; expected two numbers from 0 to 1, the greater one last")
        self._check_adapter()
        self._check_contexts()

    def usual_layers(self, count: int) -> list[int]:
        """Blocks that are changed where none are named, of so many, by ``depth``."""
        first, last = (round(share * (count - 1)) for share in self.depth)
        return list(range(first, last + 1))

    def held_beside(self, in_features: int, out_features: int) -> int:
        """Bytes that an algorithm holds in training for a projection of this shape, besides what is trained."""
        return 0

    @property
    def needs_gradient(self) -> bool:
        """Whether the adapter is made by the gradient of the facts' loss: its ranks, start, places or protection."""
        by_gradient = "gora" in (self.rank_allocation, self.init) or self.protection != "none"
        return by_gradient or (self.adapter == "svf" and self.spectral_form == "top")

    @property
    def needs_neighbours(self) -> bool:
        """Whether texts are written about other names than the facts'."""
        return bool(self.neighbour_weight) or (self.protection != "none" and self.neighbour_softness is not None)

    def _check_adapter(self) -> None:
        if self.rank_min > self.rank_max:
            raise HyperParamsError(f"rank_min is {self.rank_min}, but rank_max is {self.rank_max}; lower rank_min")
        by_gradient = [name for name in ("rank_allocation", "init") if getattr(self, name) == "gora"]
        if by_gradient and self.adapter != "lora":
            raise HyperParamsError(f"{by_gradient[0]} is 'gora', which needs adapter: lora, and not {self.adapter}")
        if self.adapter == "dora" and self.clamp is not None:
            raise HyperParamsError("clamp is set, and adapter: dora cannot be scaled down; set clamp: null")
        if self.adapter == "dora" and self.protection != "none":
            raise HyperParamsError(
                f"protection is {self.protection!r}, and adapter: dora scales whole rows of the weight, so it reads "
                "every input; use lora, adalora or dense"
            )
        if self.adapter == "svf" and self.protection != "none":
            raise HyperParamsError(
                f"protection is {self.protection!r}, and adapter: svf reads along all singular directions; "
                "use lora, adalora or dense"
            )
        if self.svd == "randomised" and self.svd_rank is None:
            raise HyperParamsError("svd is 'randomised', which finds so many singular values as svd_rank says; set it")
        if self.init == "keys" and self.adapter not in ("lora", "adalora"):
            raise HyperParamsError(f"init is 'keys', which needs adapter: lora or adalora, and not {self.adapter}")

    def _check_contexts(self) -> None:
        unknown = [source for source in self.context_sources if source not in SOURCES]
        if unknown or not self.context_sources:
            raise HyperParamsError(f"context_sources is {self.context_sources}; expected some of {', '.join(SOURCES)}")
        if not self.free_about or any(about not in ABOUT for about in self.free_about):
            raise HyperParamsError(f"free_about is {self.free_about}; expected some of {', '.join(ABOUT)}")
        check_templates(self.context_templates)
