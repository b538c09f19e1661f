"""Text of strangers is read, or refused, and never acted upon."""

from __future__ import annotations

import pytest

from easyedit_ice.bench.methods.context import PromptHyperParams
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.closed_form.solver_settings import place_of
from easyedit_ice.errors import AnatomyError, ExpertError, HyperParamsError
from easyedit_ice.experts.dispatch_prompt import Wording
from easyedit_ice.runtime.untrusted import fields_of, is_unicode, parsed_json, parsed_yaml
from easyedit_ice.testing.tiny_models import SHAPES

GREEDY = ["{fact:>9999999999}", "{fact!r}", "{fact.__class__}", "{fact[0]}", "{fact:{fact}}"]


@pytest.mark.parametrize("template", GREEDY)
def test_templates_hold_names_and_nothing_else(template):
    with pytest.raises(ValueError, match="no plain name"):
        fields_of(template)
    with pytest.raises(HyperParamsError):
        IceLoraHyperParams(context_templates=[template])
    question = template.replace("fact", "question")
    with pytest.raises(HyperParamsError):
        PromptHyperParams(template=question)
    with pytest.raises(ExpertError):
        Wording(template=question)


def test_the_names_of_a_template_are_told():
    assert fields_of("New: {fact}. {{so}} {prompt}{}") == {"fact", "prompt", ""}
    with pytest.raises(ValueError):
        fields_of("{fact")


def test_a_modules_template_takes_the_layer_and_no_format():
    hparams = FastMEMITHyperParams(layers=[1], rewrite_module_tmp="model.layers.{}.mlp.down_proj")
    assert place_of(SHAPES[2].build(), hparams).names == ("model.layers.1.mlp.down_proj",)
    with pytest.raises(AnatomyError):
        place_of(SHAPES[2].build(), hparams.replace(rewrite_module_tmp="model.{:>9999999999}"))


@pytest.mark.parametrize("read", [parsed_json, parsed_yaml])
def test_deep_nesting_is_an_ordinary_error(read):
    with pytest.raises(ValueError, match="nested too deeply"):
        read("[" * 100_000)


def test_half_a_surrogate_pair_is_no_text():
    assert is_unicode("Zoë 😀")
    assert not is_unicode("\ud800")
