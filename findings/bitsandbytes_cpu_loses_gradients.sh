#!/usr/bin/env bash
# bitsandbytes 0.50.2, with torch 2.13.0, on a CPU that computes in bfloat16 (AVX512-BF16, as Intel's since Cooper Lake
# and AMD's since Zen 4).
#
# Behaviour: at its first pass without gradients in eval mode, a Linear4bit on such a CPU lays its weight out anew for
#   inference. From then on it lets no gradient through: what it answers still has requires_grad, backward() raises
#   nothing, and the gradient of its input is None. train() does not bring it back.
# Expected: evaluation changes no gradient; whoever evaluates a 4-bit model, and then trains an adapter in it, trains.
# Seen: before the evaluation the gradient of the input has a norm above 0; after it there is none. In a block whose
#   input also goes around the layer (a residual connection), what arrives is the part that goes around, and nothing
#   tells that the layer's own is missing.
#
# Exits with 0 while this is so, with 1 once it has changed, and with 2 on a CPU without AVX512-BF16.
set -euo pipefail
python=${PYTHON:-python3.11}
if ! grep -q avx512_bf16 /proc/cpuinfo; then
    echo "This CPU does not have AVX512-BF16: nothing was tried." >&2
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet bitsandbytes==0.50.2 torch==2.13.0

cat >"$folder/seen.py" <<'PYTHON'
import sys
import warnings

import bitsandbytes
import torch
from torch import nn

warnings.simplefilter("ignore")
WIDTH = 256


def packed() -> bitsandbytes.nn.Linear4bit:
    """A layer in 4 bits, with the same weights each time."""
    torch.manual_seed(0)
    weight = torch.randn(WIDTH, WIDTH, dtype=torch.bfloat16) / WIDTH**0.5
    layer = bitsandbytes.nn.Linear4bit(WIDTH, WIDTH, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    layer.weight = bitsandbytes.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
    return layer.to("cpu").eval()


def gradient(layer: nn.Module, around: bool) -> float | None:
    """Norm of the input's gradient; `around`: the input is added to what the layer answers."""
    torch.manual_seed(1)
    x = torch.randn(4, WIDTH, dtype=torch.bfloat16, requires_grad=True)
    y = layer(x)
    assert y.requires_grad
    (y.float().sum() + (x.float().sum() if around else 0)).backward()
    return None if x.grad is None else round(x.grad.float().norm().item(), 1)


def evaluated(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        layer(torch.ones(1, WIDTH, dtype=torch.bfloat16))
    return layer


alone = (
    gradient(packed(), around=False),
    gradient(evaluated(packed()), around=False),
    gradient(evaluated(packed()).train(), around=False),
)
residual = gradient(packed(), around=True), gradient(evaluated(packed()), around=True)
print(f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}")
print("norm of the input's gradient, of the layer alone")
print("  never evaluated:          ", alone[0])
print("  after one evaluation:     ", alone[1])
print("  after that and train():   ", alone[2])
print("with the input added to what the layer answers")
print("  never evaluated:          ", residual[0])
print("  after one evaluation:     ", residual[1], "of which the input alone is", (4 * WIDTH) ** 0.5)
if alone[0] and alone[1] is None and alone[2] is None and residual[1] == (4 * WIDTH) ** 0.5 != residual[0]:
    print("As described.")
    sys.exit(0)
print("The behaviour has changed.")
sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
