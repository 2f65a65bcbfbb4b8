#!/usr/bin/env bash
# Sets up, then runs every check: lint, format, types, unit tests, tests under mpirun. Exits non-zero if one fails.
#
#   scripts/test.sh            everything but the longest tests (`pytest -m long` runs those); seven to eight minutes on two
#                              cores
#   scripts/test.sh --quick    for use while you work; less than one minute. Lint, format, the package's types, and the
#                              tests of its parts (which start no program and train no run), without the slow ones
set -euo pipefail

case "$#,${1-}" in
    0,) quick= ;;
    1,--quick) quick=yes ;;
    *) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh"
export PATH="${TRPO_GAIL_VENV:-$root/.venv}/bin:$PATH"
cd "$root"

# Parallelism comes from processes alone: pytest's workers, or the ranks of a test.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export MPLBACKEND=Agg
# Hundreds of processes are started; without caches each would compile the package anew.
unset PYTHONDONTWRITEBYTECODE
# In tests with several threads, idle threads sleep, as they do in a run; on a busy machine they would spin otherwise.
export OMP_WAIT_POLICY=PASSIVE

failed=()
step() {
    local name=$1
    shift
    echo "== $name: $*"
    "$@" || failed+=("$name")
}

if [[ ! $quick ]]; then
    # Beside all else, since their ranks wait asleep much of the time.
    under_mpirun=(pytest -m "not long" tests/mpi)
    output=$(mktemp)
    "${under_mpirun[@]}" >"$output" 2>&1 &
    beside=$!
    # `|| true`: what has ended cannot be killed, and a trap that fails would make the whole script fail.
    trap 'kill "$beside" 2>/dev/null || true; rm -f "$output"' EXIT
fi

step lint ruff check --output-format concise .
step format ruff format --check .
if [[ $quick ]]; then
    step types mypy trpo_gail
    step "quick tests" pytest -q -n 2 --dist worksteal -m "not slow and not long" \
        tests/{adversaries,config,experts,generators,networks,sampling,spaces,studies} \
        tests/test_{config,critic,errors,finite,layers,paper_iteration,policy,scores,whole_file}.py
else
    step types mypy
    # Behind those of ranks, which follow one another: what is left at the end can fill both cores.
    step "unit tests" nice -n 5 pytest -n 2 --dist worksteal -m "not long" --ignore=tests/mpi tests
    echo "== tests under mpirun: ${under_mpirun[*]}"
    wait "$beside" || failed+=("tests under mpirun")
    cat "$output"
fi

if ((${#failed[@]})); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
