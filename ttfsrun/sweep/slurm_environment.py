"""Environment of Slurm's commands: what says which Slurm to use stays, what changes their answers goes."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Where Slurm is, and who asks.
KEPT = ("SLURM_CONF", "SLURM_JWT")
#: Settings of a surrounding job, and users' own filters, formats and exit codes.
DROPPED = ("SLURM_", "SLURMD_", "SRUN_", "SALLOC_", "SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_")
#: Formats that are read here; 0: do not shorten lists of array tasks.
READABLE = {"SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}


def command_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a command of Slurm whose answer is read."""
    kept = {name: value for name, value in environment.items() if name in KEPT or not name.startswith(DROPPED)}
    return kept | READABLE
