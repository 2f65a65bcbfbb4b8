#!/usr/bin/env bash
# Run this on a machine with a CUDA device. It proves that the device computes the same as the CPU, and measures the
# speed: it runs the tests marked `gpu`, then prints a table of times. It takes less than 8 minutes.
#
#   scripts/check_gpu.sh [--quick] [--out DIR] [--site DIR] [--device cpu]
#
#   --quick       only one line of the table after the tests, and no trainings
#   --out DIR     folder for tests.txt, gpu.json and gpu.md; default: results/gpu
#   --site DIR    folder of wheels, for a machine without a network: gymnasium, rich, pytest, mpi4py, mpich, mujoco.
#                 They go into a new environment beside PYTHON's packages, deleted at the end.
#   --device cpu  rehearse without a device
#
# It needs Python 3.11 or later with torch (CUDA), numpy and h5py. PYTHON names the interpreter. Ranks need mpirun.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
quick=() out=results/gpu site= device=cuda python=${PYTHON:-python3}
while (($#)); do
    case $1 in
        --quick) quick=(--quick) ;;
        --out) out=$2; shift ;;
        --site) site=$2; shift ;;
        --device) device=$2; shift ;;
        *) echo "check_gpu: unknown flag: $1" >&2; exit 2 ;;
    esac
    shift
done

if [[ -n $site ]]; then
    new=$(mktemp -d)
    trap 'rm -rf "$new"' EXIT
    "$python" -m venv --without-pip "$new"
    "$python" -c 'import sys; print(*(path for path in sys.path if path.endswith("-packages")), sep="\n")' \
        >"$("$new/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/given.pth"
    "$python" -m pip --python "$new/bin/python" install -q --no-index --no-deps --ignore-installed "$site"/*.whl
    python=$new/bin/python
fi
export PYTHONPATH=$root:$root/tests${PYTHONPATH:+:$PYTHONPATH} TRPO_GAIL_TEST_DEVICE=$device

missing=$("$python" - <<'P'
import importlib.util as u
names = {"torch": "torch", "numpy": "numpy", "h5py": "h5py", "gymnasium": "gymnasium", "rich": "rich",
         "pytest": "pytest"}
print(*(name for name in names if u.find_spec(name) is None))
P
)
[[ -z $missing ]] || { echo "check_gpu: missing: $missing (give a folder of wheels: --site DIR)" >&2; exit 2; }
for optional in envpool mpi4py mujoco; do
    "$python" -c "import $optional" 2>/dev/null || echo "check_gpu: $optional is missing; the tests that need it are skipped"
done
if [[ $device == cuda ]]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        { echo "check_gpu: torch finds no CUDA device (to rehearse: --device cpu)" >&2; exit 2; }
fi

mkdir -p "$out"
failed=0
timeout -s INT 150 "$python" -m pytest -q -p no:cacheprovider -o faulthandler_timeout=60 tests/gpu 2>&1 | tee "$out/tests.txt" || failed=1
env=Hopper-v4
"$python" -c 'import mujoco' 2>/dev/null || env=PointNav2DContinuous-v0
timeout 320 "$python" scripts/gpu_table.py --out "$out" --device "$device" --env "$env" --expert "expert_data/$env.h5" "${quick[@]}"
exit $failed
