#!/usr/bin/env bash
# Sets up, then imitates CartPole from one expert trajectory on two MPI ranks. It takes one or two minutes.
# Arguments are passed on to `trpo-gail train`: scripts/quickstart.sh --seed 1
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh"
export PATH="${TRPO_GAIL_VENV:-$root/.venv}/bin:$PATH"
cd "$root"

out=runs/quickstart-$(date +%Y%m%d-%H%M%S)
arguments=("$@")
for ((i = 0; i < $#; i++)); do
    case ${arguments[i]} in
        --out) out=${arguments[i + 1]:-} ;;
        --out=*) out=${arguments[i]#--out=} ;;
    esac
done

# Only Open MPI reads these: without them it refuses to run as root, or with more ranks than cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe

SECONDS=0
mpirun -n 2 trpo-gail train CartPole-v0 --expert expert_data/CartPole-v0.h5 --trajectories 1 --subsample 10 \
    --steps 100000 --seed 0 --out "$out" "$@"

[[ -d $out ]] || exit 0  # --help makes no run
curve=$(realpath "$out")/learning_curve.png
[[ -s $curve ]] || { echo "quickstart: error: the run wrote no $curve" >&2; exit 1; }
echo "quickstart: done in $SECONDS s; learning curve: $curve"
