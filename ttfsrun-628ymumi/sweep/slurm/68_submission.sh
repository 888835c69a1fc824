#!/bin/bash

# Parameters
#SBATCH --array=0-3%4
#SBATCH --cpus-per-task=1
#SBATCH --job-name=ttfsrun-sweep-962dc259.0
#SBATCH --mem=801M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/work/main/ttfsrun-628ymumi/sweep/slurm/%A_%a_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@60
#SBATCH --time=14

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /work/main/ttfsrun-628ymumi/sweep/slurm/%A_%a_%t_log.out /work/main/.venv/bin/python -u -c 'import sys; sys.path = [entry for entry in sys.path if entry]; from ttfsrun.sweep.work.worker import main; sys.exit(main())' /work/main/ttfsrun-628ymumi/sweep 962dc259 0
