"""Options of other commands where Hydra reads the arguments."""

from __future__ import annotations

import pytest

from easyedit_ice.cli.overrides import as_overrides
from easyedit_ice.errors import RunConfigError


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--algorithm", "LoRA-BF,GoRA", "-m"], ["algorithm=LoRA-BF,GoRA", "-m"]),
        (["--model=smollm2-135m", "--size", "10"], ["model.name=smollm2-135m", "data.size=10"]),
        (["--set", "lr=1e-3", "--hparams", "brief"], ["algorithm.hparams.lr=1e-3", "algorithm.preset=brief"]),
        (["--data", "my facts's.json"], ["data.source='my facts\\'s.json'"]),
        (["--cfg", "job", "--help", "out=runs"], ["--cfg", "job", "--help", "out=runs"]),
    ],
)
def test_options_are_what_hydra_reads(given, meant):
    assert as_overrides(given) == meant


def test_hydra_reads_a_quoted_value_as_it_was_given():
    from hydra.core.override_parser.overrides_parser import OverridesParser

    name = "my facts's, (new) \\ {a=b}.json"
    (override,) = OverridesParser.create().parse_overrides(as_overrides(["--data", name]))
    assert override.value() == name


@pytest.mark.parametrize("given", [["--size"], ["--size", "--out", "x"]])
def test_an_option_without_a_value_is_refused(given):
    with pytest.raises(RunConfigError, match="no value"):
        as_overrides(given)
