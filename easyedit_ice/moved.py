"""Modules by the names they had in 0.1: importing one gives the module that took its place, for one release."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGE = "easyedit_ice"
MOVED = {
    "activations": "model.activation_memory",
    "algorithms": "editors.algorithms",
    "anatomy": "model.anatomy",
    "apply": "edit.apply",
    "asking": "text.chat",
    "atomic": "runtime.atomic_files",
    "base": "edit.base_model",
    "batching": "runtime.batching",
    "bench.callbacks": "bench.running.callbacks",
    "bench.checkpoint": "bench.running.checkpoint",
    "bench.checks": "bench.running.checks",
    "bench.cost": "bench.telemetry.cost",
    "bench.described": "bench.running.description",
    "bench.evaluate": "bench.running.evaluate",
    "bench.examine": "bench.asking.examiner",
    "bench.facts": "bench.asking.facts",
    "bench.finite": "bench.storage.finite_lines",
    "bench.folder": "bench.storage.run_folder",
    "bench.ledger": "bench.storage.ledger",
    "bench.lines": "bench.asking.lines",
    "bench.logs": "bench.telemetry.logs",
    "bench.manifest": "bench.storage.run_manifest",
    "bench.methods.base": "bench.methods.method",
    "bench.methods.editing": "bench.methods.model_method",
    "bench.modes": "bench.running.stream_mode",
    "bench.pace": "bench.running.time_left",
    "bench.report.answers": "bench.report.shown_answers",
    "bench.report.cases": "bench.report.case_studies",
    "bench.report.drawing": "bench.report.charts",
    "bench.report.figures": "bench.report.side_effect_figures",
    "bench.report.page": "bench.report.html_report",
    "bench.report.runs": "bench.report.reading_runs",
    "bench.report.scores": "bench.report.reported_scores",
    "bench.report.statistics": "bench.report.paired_tests",
    "bench.report.wording": "bench.report.phrases",
    "bench.run": "bench.running.one_run",
    "bench.sealed": "bench.storage.sealed_lines",
    "bench.shards": "bench.running.shards",
    "bench.stream": "bench.running.stream_state",
    "bench.track": "bench.telemetry.track",
    "bits": "runtime.bits",
    "blocks": "model.blocks",
    "book.export": "book.book_export",
    "book.hub": "book.sharing",
    "book.manifest": "book.edit_manifest",
    "cache": "runtime.cache",
    "capture": "model.capture",
    "choosing": "editors.choosing",
    "cli.kept": "cli.cache_listing",
    "cli.settings": "cli.command_settings",
    "closed_form": "editors.closed_form",
    "closed_form.facts": "editors.closed_form.subject_rows",
    "closed_form.footprint": "editors.closed_form.closed_form_memory",
    "closed_form.scaled": "editors.closed_form.scales",
    "closed_form.settings": "editors.closed_form.solver_settings",
    "closed_form.stated": "editors.closed_form.outcome",
    "closed_form.upper": "editors.closed_form.upper_blocks",
    "closed_form.values": "editors.closed_form.value_search",
    "closed_form.write": "editors.closed_form.layer_writes",
    "data.editing": "data.easyedit_requests",
    "data.facts": "data.fact_files",
    "data.forms": "data.published_forms",
    "data.hub": "data.benchmarks",
    "data.normalise": "data.cleaning",
    "data.published.questions": "data.published.wrong_answers",
    "data.rows": "data.file_rows",
    "deltas": "edit.delta",
    "destinations": "edit.destinations",
    "editing": "verdict.edit_facts",
    "evaluation.advice": "verdict.advice",
    "evaluation.alternatives": "evaluation.likelihood",
    "evaluation.brief": "verdict.brief_answers",
    "evaluation.check": "verdict.check",
    "evaluation.forced": "evaluation.teacher_forced.forced_answers",
    "evaluation.forms": "evaluation.teacher_forced.batch_forms",
    "evaluation.host_rows": "evaluation.teacher_forced.host_rows",
    "evaluation.host_scores": "evaluation.teacher_forced.host_scores",
    "evaluation.leading": "evaluation.leading_answer",
    "evaluation.lines": "evaluation.teacher_forced.readings",
    "evaluation.observe": "evaluation.observation",
    "evaluation.probe": "evaluation.model_probe",
    "evaluation.probes.table": "evaluation.probes.probe_table",
    "evaluation.rest": "evaluation.side_effects",
    "evaluation.summary": "evaluation.intervals",
    "evaluation.surroundings": "verdict.asked_around",
    "evaluation.verdict": "verdict.verdict",
    "experts.beside": "experts.rowwise",
    "experts.drawing": "experts.expert_plots",
    "experts.search": "experts.alpha_search",
    "experts.training": "experts.train_experts",
    "experts.two_pass": "experts.answering",
    "experts.wording": "experts.dispatch_prompt",
    "export": "edit.peft_export",
    "extras": "runtime.extras",
    "footprint": "planning.footprint",
    "forwards": "model.forward_overrides",
    "fused": "model.fused_activation",
    "host": "easyedit",
    "host.alone": "easyedit.methods.per_row",
    "host.auto": "easyedit.auto_settings",
    "host.catalogue": "easyedit.methods.catalogue",
    "host.failures": "easyedit.plugin.undo_on_failure",
    "host.fitting": "easyedit.methods.settings_fixes",
    "host.hook": "easyedit.loading.import_hook",
    "host.ike": "easyedit.methods.ike",
    "host.info": "easyedit.host_report",
    "host.inplace": "easyedit.loading.inplace",
    "host.memory": "easyedit.methods.module_globals",
    "host.methods": "easyedit.methods.engine",
    "host.patches": "easyedit.plugin.patches",
    "host.preparing": "easyedit.methods.first_use",
    "host.printed": "runtime.captured_output",
    "host.registration": "easyedit.plugin.registration",
    "host.restoring": "easyedit.plugin.restoring",
    "host.settings": "easyedit.methods.host_settings",
    "host.shape": "easyedit.auto_settings.model_shape",
    "host.source": "easyedit.loading.rewrites",
    "host.spec": "easyedit.methods.host_spec",
    "host.standins": "easyedit.loading.placeholders",
    "host.statistics": "easyedit.moment_files",
    "host.summaries": "easyedit.methods.summaries",
    "hparams": "edit.hparams",
    "interrupts": "runtime.interrupts",
    "known": "model.baseline",
    "loading": "checkpoints.loading",
    "logits": "model.logits",
    "memory": "edit.history",
    "models": "checkpoints",
    "models.converted": "checkpoints.conversion",
    "models.export": "checkpoints.gguf_export",
    "models.layout": "checkpoints.gguf_layout",
    "models.named": "checkpoints.names",
    "models.packaged": "checkpoints.packages",
    "models.source": "checkpoints.gguf_files",
    "moments": "precompute",
    "moments.measured": "precompute.moments",
    "moments.own_text": "precompute.own_corpus",
    "moments.statistics": "precompute.second_moments",
    "moments.stored": "precompute.moment_store",
    "moments.texts": "precompute.corpora",
    "noted": "runtime.tensor_files",
    "originals": "edit.originals",
    "preserve": "model.snapshot",
    "processes": "runtime.distributed",
    "progress": "runtime.progress",
    "randomness": "runtime.randomness",
    "reading": "runtime.untrusted",
    "registry": "edit.registry",
    "requests": "edit.request",
    "saving": "model.saving",
    "sections": "edit.sections",
    "shown": "runtime.html",
    "side_branch": "model.side_branch",
    "spectra": "precompute",
    "spectra.decompose": "precompute.decompose",
    "spectra.found": "precompute.weight_spectra",
    "spectra.stored": "precompute.spectrum_store",
    "state": "model.edit_state",
    "store": "runtime.store",
    "subjects": "text.subjects",
    "synonyms": "edit.synonyms",
    "testing.models": "testing.tiny_models",
    "text.answers": "text.likely_answers",
    "text.passes": "text.reading",
    "text.plain_text": "edit.plain_statements",
    "text.positions": "edit.subject_position",
    "text.sound": "edit.soundness",
    "threads": "runtime.threads",
    "tokens": "text.tokens",
    "training": "editors.gradient",
    "training.adapters.base": "editors.gradient.adapters.adapter",
    "training.adapters.beside": "editors.gradient.adapters.hooked",
    "training.adapters.spectral": "editors.gradient.adapters.svf",
    "training.adapters.tuned": "editors.gradient.adapters.peft_backed",
    "training.earlier": "editors.gradient.earlier_keys",
    "training.footprint": "editors.gradient.training_memory",
    "training.gradients": "editors.gradient.weight_gradients",
    "training.keys": "editors.gradient.protection.fact_keys",
    "training.loop": "editors.gradient.trainer",
    "training.making": "editors.gradient.build_adapter",
    "training.pace": "editors.gradient.learning_rate",
    "training.places": "editors.gradient.targets",
    "training.protection": "editors.gradient.protection.projector",
    "training.published_gora": "editors.gradient.adapters.gora_init",
    "training.settings": "editors.gradient.training_settings",
    "training.subspaces": "editors.gradient.protection.subspaces",
    "training.surroundings": "editors.gradient.neighbours",
    "ui.facts": "ui.typed_fact",
    "updates": "edit.update",
    "usual": "edit.usual_settings",
    "values": "edit.setting_values",
    "weights": "model.unusual_weights",
    "world": "factworld",
    "world.batches": "factworld.training.batches",
    "world.card": "factworld.training.model_card",
    "world.facts": "factworld.world_facts",
    "world.lessons": "factworld.training.world_lessons",
    "world.measure": "factworld.training.recall",
    "world.names": "factworld.proper_names",
    "world.phrasing": "factworld.world_phrasing",
    "world.questions": "factworld.world_questions",
    "world.records": "factworld.world_records",
    "world.testbed": "testbed",
    "world.testbed.card": "testbed.testbed_card",
    "world.testbed.knowledge": "testbed.testbed_facts",
    "world.testbed.measure": "testbed.testbed_recall",
    "world.testbed.text": "testbed.sentences",
    "world.testbed.train": "testbed.testbed_training",
    "world.testbed.wording": "testbed.testbed_wordings",
    "world.text": "factworld.world_text",
    "world.tokenizer": "factworld.training.world_tokenizer",
    "world.train": "factworld.training.train_world",
    "world.wordings": "factworld.templates",
}
"""Name in 0.1 -> name now, both below the package; what lies in a folder went with it."""


def _within_moved_folders() -> dict[str, str]:
    """Names that ``from easyedit_ice.closed_form import write`` asks for: the folder's by now, the module's of 0.1."""
    parts = ((*name.rpartition("."), now) for name, now in MOVED.items())
    asked = {f"{MOVED[folder]}.{leaf}": now for folder, _, leaf, now in parts if folder in MOVED}
    return {
        name: now for name, now in asked.items() if not any(f"{own}.".startswith(f"{name}.") for own in asked.values())
    }


_NAMES = {**_within_moved_folders(), **MOVED}


def current_name(name: str) -> str:
    """What a module is called now: ``"training.loop"`` -> ``"editors.gradient.trainer"``."""
    for count in range(len(parts := name.split(".")), 0, -1):
        if (folder := ".".join(parts[:count])) in _NAMES:
            return ".".join((_NAMES[folder], *parts[count:]))
    return name


class _Earlier(MetaPathFinder, Loader):
    """Finds modules by their earlier names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != _PACKAGE or current_name(name) == name:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = current_name(spec.name.partition(".")[2])
        warnings.warn(f"{spec.name} is now {_PACKAGE}.{name}", DeprecationWarning, stacklevel=2)
        module = import_module(f"{_PACKAGE}.{name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Have earlier names found. Idempotent."""
    if not any(isinstance(finder, _Earlier) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Earlier())
