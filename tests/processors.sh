#!/usr/bin/env bash
# The numeric tests as other processors would run them: other instructions, other numbers of threads,
# and products that add up in other orders.
#
#   tests/processors.sh           all of them in every setting: about an hour on two cores
#   tests/processors.sh --share   what promises equal bits, in two settings: under a minute; in CI
#
# Further arguments go to pytest. A make of processor cannot be emulated; what another BLAS may do is
# in tests/support/summation.py. Settings with instructions that this processor lacks are left out:
# PyTorch uses what the setting names without asking, and the process would end by SIGILL.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -x .venv/bin/python ]; then PATH="$PWD/.venv/bin:$PATH"; fi

settings=(
    "OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 ONEDNN_MAX_CPU_ISA=SSE41 NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=+sse2"
    "OMP_NUM_THREADS=1 SUPSUP_OTHER_SUMS=1"
)
chosen=(-m "numeric and not slow")
if [ "${1:-}" = --share ]; then
    shift
    chosen+=(-k "other_sums or symmetric or never_stopped or twenty_moments or same_bits or no_bit")
    chosen+=(tests/core tests/commands/learn_task) # they are here; collecting all tests takes longer
else
    settings+=(
        "OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma"
        "OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2 ONEDNN_MAX_CPU_ISA=AVX2"
        "OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=avx512 MKL_ENABLE_INSTRUCTIONS=AVX512 ONEDNN_MAX_CPU_ISA=AVX512_CORE"
        "OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=avx512"
        "OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE"
        "OMP_NUM_THREADS=2 SUPSUP_OTHER_SUMS=1"
    )
fi

has=$(env -u ATEN_CPU_CAPABILITY python -c 'import torch; print(torch.backends.cpu.get_cpu_capability().lower())')
failed=0
for setting in "${settings[@]}"; do
    case "$setting/$has" in
        *=avx512*/avx512 | *=avx2*/avx2 | *=avx2*/avx512) ;;
        *=avx512*/* | *=avx2*/*)
            echo "== left out, this processor has $has alone: $setting"
            continue
            ;;
    esac
    echo "== $setting"
    # shellcheck disable=SC2086  # each setting is several words
    env OMP_WAIT_POLICY=passive $setting pytest -q "${chosen[@]}" "$@" || failed=1
done
exit $failed
