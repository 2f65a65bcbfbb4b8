#!/usr/bin/env bash
# Sets up, then runs everything that must pass: lint, types, unit tests, tests under mpirun. Exits non-zero if any fails.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh"
export PATH="${TRPO_GAIL_VENV:-$root/.venv}/bin:$PATH"
cd "$root"

# The processes are the parallelism: pytest's two workers, or the ranks of a test.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export MPLBACKEND=Agg
# Threads of a test that has several wait asleep, as they do in a run: on a busy machine they would spin.
export OMP_WAIT_POLICY=PASSIVE

failed=()
step() {
    local name=$1
    shift
    echo "== $name: $*"
    "$@" || failed+=("$name")
}

step lint ruff check --output-format concise .
step types mypy
step "unit tests" pytest -n 2 --dist worksteal --ignore=tests/mpi tests
# One at a time: each of these keeps both cores busy itself. Last, so that the output ends with pytest's summary.
step "tests under mpirun" pytest tests/mpi

if ((${#failed[@]})); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
