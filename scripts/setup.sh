#!/usr/bin/env bash
# Makes .venv in this checkout and installs trpo_gail into it, editable, with the versions of constraints.txt.
# A second call does nothing. To start over, delete .venv.
#
#   PYTHON             the interpreter to use; default: the first on the PATH that is 3.11 or later
#   TRPO_GAIL_EXTRAS   extras of setup.cfg; default: all. On a cluster with its own MPI: mujoco,envpool,tensorboard
#   TRPO_GAIL_VENV     absolute path of the environment; default: .venv
#
# pip's own settings apply. On Linux x86-64 torch comes with CUDA (gigabytes). For the small CPU build, put PyTorch's CPU
# index into PIP_EXTRA_INDEX_URL.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=${TRPO_GAIL_VENV:-$root/.venv}
extras=${TRPO_GAIL_EXTRAS:-all}
cd "$root"

say() { echo "setup: $*"; }
die() { echo "setup: error: $*" >&2; exit 1; }

[[ $venv == /* ]] || die "TRPO_GAIL_VENV must be an absolute path, not $venv"

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Identifies what a venv was made from. It includes paths: neither a venv nor an editable install survives a move.
stamp() {
    { echo "$root $venv $extras"; "$venv/bin/python" -V; cat setup.cfg pyproject.toml constraints.txt; } | sha256sum
}

# The venv's programs name its path in their first lines. Other extras may need another MPI library, and so a new venv.
is_usable() {
    is_new_enough "$venv/bin/python" && grep -qsF "$venv/bin/python" "$venv/bin/pip" &&
        "$venv/bin/python" -m pip --version >/dev/null 2>&1 && [[ $(cat "$venv/.extras") == "$extras" ]]
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if is_new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    die "no Python 3.11 or later found (tried: ${PYTHON:-python3, python3.11 to python3.14}); install one, or name it: PYTHON=/path/to/python3"
}

logged() {
    echo "+ $*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; die "the step above failed; the whole log is $log"; }
}

make_venv() {
    local python
    python=$(find_python)
    say "making $venv with $("$python" -V)"
    if [[ -e $venv ]]; then
        # Delete the folder only if it is a venv, or if an earlier call of this script began it.
        [[ -e $venv/pyvenv.cfg || -e $venv/setup.log ]] || die "$venv exists and is no virtual environment"
        rm -rf "$venv"
    fi
    mkdir -p "$venv"
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then  # Debian's python3 alone lacks ensurepip
        logged "$python" -m venv "$venv"
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        logged "$python" -m virtualenv "$venv"
    elif command -v uv >/dev/null; then
        logged uv venv --seed --allow-existing --python "$python" "$venv"
    else
        rmdir "$venv"
        python=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        die "$python cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install $python-venv), virtualenv, or uv"
    fi
    echo "$extras" >"$venv/.extras"
}

if [[ -x $venv/bin/python && $(cat "$venv/.stamp" 2>/dev/null) == "$(stamp)" ]]; then exit 0; fi

SECONDS=0
log=$venv/setup.log
is_usable || make_venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
# torch comes first and alone: it takes the longest, and no other package may choose its build.
say "installing torch (log: $log)"
# pip compiles modules on one core, and all of them; all cores do it at the end, with those that are likely to be imported.
rarely='/(tests?|testing|sympy|mpmath|networkx|OpenGL|pip|mypyc?|pygments|setuptools|fontTools|pygame)/'
rarely+='|/torch/(_inductor|_dynamo|distributed)/|/onnxruntime/transformers/'
logged "$venv/bin/python" -m pip install --no-compile -c constraints.txt torch
say "installing trpo_gail[$extras]"
logged "$venv/bin/python" -m pip install --no-compile -c constraints.txt -e ".[$extras]"
"$venv/bin/python" -m compileall -q -j 0 -x "$rarely" "$venv/lib" >>"$log" 2>&1 </dev/null || true
stamp >"$venv/.stamp"
say "done in $SECONDS s: $("$venv/bin/python" -c 'import sys, importlib.metadata as m
print("Python", sys.version.split()[0] + ", torch", m.version("torch"))')"
