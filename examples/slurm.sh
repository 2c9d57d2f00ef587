#!/bin/sh
# Learn on a cluster: `sbatch slurm.sh`. Every task of the job learns into one bank on a file system
# that all nodes share (`supsup doctor --bank FOLDER` tells whether it is fit), and takes what no
# other has claimed. Submit the file several times, or after a time limit: it does what is left.
#SBATCH --job-name=supsup
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
set -eu
bank=${BANK:?the folder of the bank, on a file system that all nodes share}
data=${DATA:-mnist-perm-0..99}

export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
supsup init-base --bank "$bank"
supsup doctor --bank "$bank"

# A worker that finds the last tasks claimed by others ends with 11, which is no failure.
srun --kill-on-bad-exit=0 sh -c '
    supsup learn-task --bank "$1" --data "$2" --quiet || { code=$?; [ "$code" -eq 11 ]; }
' worker "$bank" "$data"

# Evaluating is shared out by rank; torchrun starts one agent a node, and each starts its ranks.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun --ntasks-per-node=1 torchrun --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc-per-node="$SLURM_NTASKS_PER_NODE" --rdzv-id="$SLURM_JOB_ID" \
    --rdzv-backend=c10d --rdzv-endpoint="$head:29500" \
    -m supsup_cli evaluate --bank "$bank" --json --quiet
