"""What a run is asked to do: the schema of ``easyedit-ice run``, whose groups are Hydra's.

Every method's settings are part of the schema, with the types of its hyperparameter class. A setting that is not
given stays missing there, and comes from the method's preset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.schemas import schema
from easyedit_ice.runtime.threads import USUAL as USUAL_THREADS

CONFIG, REVIEWER = "run", "reviewer"
"""Hydra's names of a run's configuration, and of that of the reviewer's table."""
USUAL = "ICE-LoRA"
"""The algorithm of a run that names none."""

OmegaConf.register_new_resolver("stem", lambda source: Path(source).stem, replace=True)


@dataclass
class ModelConfig:
    """The model that is edited."""

    name: str = setting("gpt2-factworld", "folder, .gguf file, hub name, or a name that `easyedit-ice models` lists")
    device: Any = setting("cpu", "'cpu', 'cuda:0', or a GPU's number; null takes the GPU if there is one")
    dtype: str = setting("auto", "type of the weights; auto keeps the checkpoint's")
    chat: bool = setting(
        False,
        "edit and ask in the user's turn of the model's chat template; for our methods, Prompt, Retrieval and IKE",
    )
    preset: str | None = setting(None, "name of the presets made for it; by default the last part of its own")


@dataclass
class DataConfig:
    """The facts. Those of a seed are drawn among those of the slice; the untouched ones follow them."""

    source: str = setting("factworld", "a JSON file, or the name of a benchmark")
    split: str = setting("test", "part of a benchmark given by name")
    form: str | None = setting(None, "form of the records; told by their keys if null")
    start: int = setting(0, "first usable record")
    size: int | None = setting(None, "how many facts; all if null")
    known: bool = setting(False, "only facts whose old answer the unedited model gives; found once and cached")
    seed: int | None = setting(None, "draw the facts at random with this seed; in the order of the file if null")
    order: int | None = setting(
        None, "write the same facts in an order drawn with this seed; null: as they were chosen"
    )
    untouched: int = setting(
        0, "further facts that are never edited; in mode sequential they are asked with the others"
    )


@dataclass
class ModeConfig:
    """How facts are put together."""

    name: str = setting("single", "single, batch or sequential")
    batch_size: int = setting(1, "facts written by one edit")
    retain_every: int = setting(0, "sequential: ask everything again after this many facts; 0: at the end only")
    checkpoint_every: int = setting(20, "sequential: save the state after this many edits, to resume from")


@dataclass
class EvaluationConfig:
    """What is measured."""

    scorer: str = setting("batched", "batched: EasyEdit's numbers, in batches; easyedit: EasyEdit's own evaluator")
    max_length: int = setting(512, "longest question with its answer, in tokens")
    generate: bool = setting(True, "let the model write its answers too")
    max_new_tokens: int = setting(32, "most tokens of a written answer")
    probability: bool = setting(True, "compare the probabilities of new and old answers")
    fluency: bool = setting(False, "n-gram entropy of sampled text")
    drift_texts: int = setting(0, "fixed texts, and questions of locality, on which drift is measured; 0: not at all")
    drift_source: str | None = setting(None, "a text file with a text a line; null: the embedded world's")
    known_facts: int = setting(
        64, "other facts that the unedited model answers right, asked again after each edit; as many as there are"
    )
    perplexity_text: str | None = setting(None, "a text file whose beginning's perplexity is measured after each edit")
    perplexity_tokens: int = setting(256, "how many tokens of it")
    undo: bool = setting(True, "compare the unedited model's logits with those after each edit, or a stream, is undone")
    answers: bool = setting(True, "keep every answer in the ledger")
    probes: list[str] | None = setting(
        None, "harder questions made from each record, such as [choice,negation], or [all]; null: none (docs/probes.md)"
    )
    abilities: list[str] | None = setting(
        None, "tasks of lm-eval, by name or YAML file, such as [arc_easy,factworld_choice]; null: none"
    )
    abilities_limit: int | None = setting(None, "how many documents of each task; all if null")
    abilities_batch: int = setting(8, "texts that lm-eval puts to the model at a time")
    afterlife: list[str] | None = setting(
        None,
        "what the edited model then goes through: finetune, lora, merge, quantise8, quantise4, or [all]; null: nothing",
    )
    afterlife_text: str | None = setting(None, "a text file to train on, a text a line; null: the embedded world's")
    afterlife_steps: int = setting(100, "steps of that training, 8 texts each")
    afterlife_learning_rate: float = setting(1e-4, "learning rate of that training")
    afterlife_rank: int = setting(8, "rank of the LoRA of lora and merge")
    afterlife_scale: float = setting(1.0, "merge: factor of the adapter")
    afterlife_adapter: str | None = setting(None, "merge: folder of a PEFT adapter; null: one trained on that text")
    judge: str | None = setting(
        None, "who also judges written answers: a model, or the address of an OpenAI-compatible endpoint; null: nobody"
    )
    judge_model: str | None = setting(None, "name of the model at the endpoint")
    judge_key: str | None = setting(None, "environment variable with the endpoint's key; null: none is sent")
    judge_timeout: float = setting(60.0, "seconds to wait for an answer of the endpoint")
    followed_edits: int = setting(
        1, "modes single and batch: after how many of the first edits abilities and afterlife are measured"
    )


def _help() -> str:
    """What ``--help`` says."""
    groups = (("model", ModelConfig), ("data", DataConfig), ("mode", ModeConfig), ("evaluation", EvaluationConfig))
    preset = (
        "a preset or a file of settings; by default the preset named like the model; EasyEdit's methods: auto, also "
        "where there is none, is made from its shape"
    )
    settings = {"algorithm.preset": preset} | {
        f"{group}.{field.name}": field.metadata["help"] for group, kind in groups for field in fields(kind)
    }
    others = {field.name: field.metadata["help"] for field in fields(RunConfig) if "help" in field.metadata}
    width = max(map(len, settings | others))
    return "\n".join(
        [
            "usage: easyedit-ice run [GROUP=CHOICE ...] [NAME=VALUE ...] [-m]",
            "",
            "Edits the facts of a benchmark with one method, measures, and keeps all in a folder; the same command",
            "goes on where it was. With -m and commas, as in algorithm=ROME,ICE-LoRA mode=single,sequential, a sweep.",
            "",
            "Groups and their choices:",
            "",
            "$APP_CONFIG_GROUPS",
            "",
            "Settings of the groups (those of algorithms: easyedit-ice hparams ALGORITHM, as algorithm.hparams.NAME):",
            "",
            *(f"  {name:<{width}}  {told}" for name, told in settings.items()),
            "",
            "Others:",
            "",
            *(f"  {name:<{width}}  {told}" for name, told in others.items()),
            "",
            "The reviewer's table, of methods one fact at a time and in streams of several orders (orders=3), with all",
            "probes: --config-name reviewer [algorithm=A,B,C] [data.size=N] (docs/benchmark.md).",
            "",
            "The run with all settings, without doing it: --cfg job. Hydra's own flags: --hydra-help.",
        ]
    )


@dataclass
class RunConfig:
    """A run: one method on some facts in one mode."""

    defaults: list[Any] = field(
        default_factory=lambda: [
            {"algorithm": USUAL},
            {"model": "gpt2-factworld"},
            {"data": "factworld"},
            {"mode": "single"},
            {"evaluation": "default"},
            "_self_",
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
        ]
    )
    # Hydra fills them in with the groups' schemas; named here, they would be made anew, less strict, from the classes.
    algorithm: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    mode: Any = MISSING
    evaluation: Any = MISSING
    seed: int = setting(0, "seed of everything random")
    threads: int = setting(USUAL_THREADS, "threads of the CPU")
    label: str | None = setting(None, "name in tables; by default the method's, with the settings given")
    out: str = setting(
        "runs/${stem:${data.source}}/${mode.name}/${algorithm.name}", "folder of the run, or of a sweep's runs"
    )
    confirm: bool = setting(False, "do a run that takes more than 12 hours, or all of more than 200 facts")
    save: bool = setting(False, "save the edited model or update at the end, as checkpoint/")
    write_report: bool = setting(True, "sweeps: write a report of all runs at the end, as report/")
    tracker: str | None = setting(None, "tensorboard, wandb or another of accelerate's trackers")
    verbosity: str = setting("normal", "quiet, normal or verbose")
    hydra: Any = field(
        default_factory=lambda: {
            "run": {"dir": "${out}"},
            "sweep": {"dir": "${out}", "subdir": "${hydra:job.override_dirname}"},
            "output_subdir": None,
            "help": {"app_name": "easyedit-ice run", "template": _help()},
            "callbacks": {
                "report": {"_target_": "easyedit_ice.bench.running.callbacks.ReportAtEnd"},
                "folders": {"_target_": "easyedit_ice.bench.running.callbacks.NoEmptyFolders"},
            },
        }
    )


@dataclass
class ReviewerConfig(RunConfig):
    """The runs of the reviewer's table: settings of one run, and in how many orders there are streams."""

    defaults: list[Any] = field(
        default_factory=lambda: [
            {"evaluation": REVIEWER} if entry == {"evaluation": "default"} else entry for entry in RunConfig().defaults
        ]
    )
    data: Any = field(default_factory=lambda: {"size": 20})
    orders: int = setting(3, "in how many orders the facts are written in streams")
    out: str = "runs/reviewer"


MODELS = {
    "gpt2-medium": "gpt2-medium",
    "gpt2-xl": "gpt2-xl",
    "gpt-j-6b": "EleutherAI/gpt-j-6b",
    "llama2-7b": "meta-llama/Llama-2-7b-hf",
    "llama3-8b": "meta-llama/Meta-Llama-3-8B",
    "llama3.2-1b": "meta-llama/Llama-3.2-1B",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "qwen2.5-7b": "Qwen/Qwen2.5-7B",
}
"""Names on the hub by those of the presets."""
DATA = ("wiki_counterfact", "wiki_recent", "zsre", "wikibio", "counterfact", "wikibigedit", "ultraeditbench", "mquake")


def store_configs(host_methods: Iterable[str]) -> None:
    """Tell Hydra of the schema and its groups. Idempotent.

    Args:
        host_methods: names of EasyEdit's methods and of those that only change the question.
    """
    _store(tuple((name, algorithm.hparams_class) for name, algorithm in ALGORITHMS.items()), tuple(host_methods))


@lru_cache(maxsize=1)
def _store(algorithms: tuple[tuple[str, type], ...], host_methods: tuple[str, ...]) -> None:
    """Store all of it, which takes half a second, unless it was stored last."""
    store = ConfigStore.instance().store
    store(name=CONFIG, node=schema(RunConfig))
    store(name=REVIEWER, node=schema(ReviewerConfig))
    for name, hparams_class in algorithms:
        store(group="algorithm", name=name, node=_algorithm(name, _all_missing(hparams_class)))
    for name in host_methods:
        store(group="algorithm", name=name, node=_algorithm(name, OmegaConf.create({}, flags={"struct": False})))
    store(group="model", name="gpt2-factworld", node=schema(ModelConfig))
    for preset, name in MODELS.items():
        store(group="model", name=preset, node=schema(ModelConfig(name=name, device=None, preset=preset)))
    store(group="data", name="factworld", node=schema(DataConfig))
    for source in DATA:
        store(group="data", name=source, node=schema(DataConfig(source=source)))
    store(group="mode", name="single", node=schema(ModeConfig))
    store(group="mode", name="batch", node=schema(ModeConfig(name="batch", batch_size=10)))
    store(group="mode", name="sequential", node=schema(ModeConfig(name="sequential")))
    store(group="evaluation", name="default", node=schema(EvaluationConfig))
    store(group="evaluation", name="full", node=schema(EvaluationConfig(fluency=True, drift_texts=32)))
    store(
        group="evaluation", name=REVIEWER, node=schema(EvaluationConfig(probes=["all"], known_facts=24, drift_texts=16))
    )
    store(
        group="evaluation", name="fast", node=schema(EvaluationConfig(generate=False, probability=False, known_facts=0))
    )
    store(
        group="evaluation",
        name="easyedit",
        node=schema(EvaluationConfig(scorer="easyedit", generate=False, probability=False, known_facts=0)),
    )


def overrides_of(config: DictConfig) -> dict[str, Any]:
    """The settings that were given, as plain values."""
    plain = cast("dict[Any, Any]", OmegaConf.to_container(config, resolve=True))
    return {str(name): value for name, value in plain.items() if value != MISSING}


def _algorithm(name: str, hparams: DictConfig) -> DictConfig:
    return OmegaConf.create({"name": name, "preset": None, "hparams": hparams})


def _all_missing(hparams_class: type) -> DictConfig:
    settings = schema(hparams_class)
    for name in settings:
        settings[name] = MISSING
    return settings
