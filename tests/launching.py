"""How several processes are started together on CPUs.

``accelerate launch --cpu --num_processes 2`` starts one process alone, unless MPI is there.
"""

from __future__ import annotations

import sys


def launched(count: int) -> list[str]:
    """The beginning of a command that starts so many processes; a script, or ``-m`` and a module, goes after it."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
