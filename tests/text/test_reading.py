"""What modules read and write at the last token of a text."""

from __future__ import annotations

import pytest
import torch
from architectures import ARCHITECTURES, tiny

from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.text import reading as passes
from easyedit_ice.text.reading import at_last_token

ROWS = [(5, 9, 3, 7, 2, 8), (4, 9, 3, 7, 2, 8, 1, 6, 11), (12, 8, 30), (7,)]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("side", ["in", "out"])
def test_reading_at_the_last_token_is_reading_each_row_alone(
    name: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "TOKENS", {"cpu": 7, "cuda": 7})
    model = tiny(name)
    module = ModelAnatomy(model).select("mlp", "out", [1])[0].name
    seen = []
    handle = model.get_submodule(module).register_forward_hook(
        lambda module, args, output: seen.append((args[0] if side == "in" else output).flatten(0, -2)[-1].clone())
    )
    with torch.no_grad():
        for row in ROWS:
            model(input_ids=torch.tensor([row]))
    handle.remove()
    found = at_last_token(model, ROWS, module, side)
    torch.testing.assert_close(found, torch.stack(seen), rtol=1e-4, atol=1e-5)
