#!/usr/bin/env bash
# Run train.sbatch and paper.sbatch, unchanged, on a one-node SLURM cluster that lives in a temporary folder. Compare
# what they leave with runs that nothing interrupted:
#
#   . .venv/bin/activate; scripts/slurm/try.sh [LOG]        the log; results/faults/slurm.log by default
#
# Four jobs: the ranks of train.sbatch get SIGUSR1 as soon as they start; they get SIGTERM, as if preempted, once there is
# a checkpoint; train.sbatch hits its time limit (ITERATIONS=2200 must last for two limits at least; set more on a fast
# machine); paper.sbatch is an array of two tasks that hit theirs (CELLS: the arguments of `trpo-gail paper run`).
# TRIES="start preempt limit array" names those to run. A job may take MOST_MINUTES (60). The whole has not been run in
# one call yet: results/faults/README.md says what has.
#
# It needs root, MPICH, and the packages of SLURM 22.05 (Debian 12), or apt-get, to unpack them in that folder. The
# programs end and the folder goes whatever happens. If there can be no cluster here, a line says "skipped" and why, and
# the exit code is 0: packages are missing, a daemon does not come up, a step that only runs `true` fails. From there on
# whatever fails is ours: a job that fails or does not end, a result that differs. The exit code is 1 then.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
log=$(realpath -m "${1:-$here/results/faults/slurm.log}")
iterations=${ITERATIONS:-2200}
read -ra cells <<<"${CELLS:---task cartpole --algorithm bc --trajectories 1 --seeds 0 1 2 3 4 5}"
tiny=(--num_envs 2 --timesteps_per_batch 512 --final_episodes 2 --eval_every 0 --policy.hidden_sizes 16
    --critic.hidden_sizes 16 --discriminator.hidden_sizes 16 --quiet)
most_minutes=${MOST_MINUTES:-60}
programs=(munged slurmctld slurmd sinfo srun sbatch squeue scontrol scancel)
packages=(munge libmunge2 slurmctld slurmd slurm-client slurm-wlm-basic-plugins libhwloc15 liblua5.1-0)
export OMP_NUM_THREADS=1 PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}

skip() {
    echo "try.sh: skipped: $*"
    exit 0
}
fail() {
    say "FAILED: $*"
    failed=1
}
say() { echo "$(date +%H:%M:%S) $*" | tee -a "$state/log"; }

# ---- the cluster ----

end() {
    if [[ -s $state/log ]]; then
        mkdir -p "$(dirname "$log")"
        sed -e "s|$state|STATE|g" -e "s|$here|CHECKOUT|g" "$state/log" >"$log"
    fi
    if [[ ${SLURM_CONF:-} == "$state/slurm.conf" ]]; then # and never the jobs of another cluster
        timeout 20 scancel --full -s KILL --user root 2>/dev/null || true
    fi
    for name in slurmd slurmctld munged; do
        [[ ! -s $state/$name.pid ]] || kill "$(<"$state/$name.pid")" 2>/dev/null || true
    done
    sleep 2
    # What is left of this cluster and of its jobs knows its configuration.
    for process in /proc/[0-9]*; do
        if [[ ${process#/proc/} != "$$" ]] && grep -qsF "SLURM_CONF=$state/slurm.conf" "$process/environ"; then
            kill -KILL "${process#/proc/}" 2>/dev/null || true
        fi
    done
    rm -rf "$state"
}

all_there() { # or what is missing
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || { missing=$name; return 1; }
    done
}

unpack() { # SLURM's packages, into $state/root
    mkdir -p "$state/debs" "$state/root/usr/sbin"
    (cd "$state/debs" && apt-get download "${packages[@]}") >"$state/apt.log" 2>&1 ||
        skip "apt-get finds no SLURM: $(tail -1 "$state/apt.log")"
    for package in "$state"/debs/*.deb; do
        dpkg-deb -x "$package" "$state/root" 2>"$state/apt.log" ||
            skip "${package##*/} cannot be unpacked: $(tail -1 "$state/apt.log")"
    done
    for name in slurmctld slurmd slurmstepd; do
        [[ -e $state/root/usr/sbin/$name ]] || ln -s "$name-wlm" "$state/root/usr/sbin/$name"
    done
}

find_programs() { # of the system, or unpacked from its packages
    plugins=$(find /usr/lib -maxdepth 2 -name slurm-wlm -type d | head -1)
    if ! { [[ $plugins ]] && all_there "${programs[@]}"; }; then
        all_there apt-get dpkg-deb || skip "there is neither SLURM nor $missing"
        unpack
        plugins=$(find "$state/root" -name slurm-wlm -type d | head -1)
        [[ $plugins ]] || skip "the packages of SLURM hold no plugins"
        export PATH=$state/root/usr/sbin:$state/root/usr/bin:$PATH
        export LD_LIBRARY_PATH=${plugins%/*}:$plugins${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        all_there "${programs[@]}" || skip "the packages of SLURM hold no $missing"
    fi
    slurmd -V >"$state/version" 2>&1 || skip "slurmd does not run: $(tail -1 "$state/version")"
}

configure() {
    local host port
    host=$(hostname -s)
    port=$((20000 + 2 * ($$ % 10000))) # two for each process, if several try at once
    mkdir -p "$state"/{secret,socket,controller,node}
    chmod 700 "$state/secret"
    (umask 077 && head -c 128 /dev/urandom >"$state/secret/key")
    cat >"$state/slurm.conf" <<END
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A job that was put back begins again when its credential has expired, in place of after two minutes.
AuthInfo=socket=$state/socket/munge,cred_expire=5
PluginDir=$plugins
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Look for jobs that may begin every five seconds, in place of every minute.
SchedulerParameters=sched_interval=5,batch_sched_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
END
    echo "CgroupMountpoint=/sys/fs/cgroup" >"$state/cgroup.conf"
    export SLURM_CONF=$state/slurm.conf
}

start() {
    daemon munged --socket="$state/socket/munge" --key-file="$state/secret/key" --seed-file="$state/secret/seed" \
        --pid-file="$state/munged.pid" --log-file="$state/munged.log"
    daemon slurmctld -i
    daemon slurmd -d "$(command -v slurmstepd)"
    for _ in {1..30}; do
        if [[ $(sinfo -h -o %T 2>/dev/null) == idle ]]; then break; fi
        sleep 1
    done
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] || skip "the node does not come up: $(last_line slurmd)"
    timeout 60 srun -n 2 --mpi=pmi2 true >"$state/srun.log" 2>&1 || skip "it runs no step: $(last_line srun)"
}

daemon() {
    "$@" >"$state/$1.out" 2>&1 || skip "$1 does not start: $(last_line "$1")"
}

last_line() { # of what a program said, in its log or else by itself
    local log
    for log in "$state/$1.log" "$state/$1.out"; do
        if [[ -s $log ]]; then
            tail -1 "$log"
            return
        fi
    done
    echo "it says nothing"
}

# ---- a job ----

field() { # of a job, or of the tasks of an array, each value with its count
    scontrol -o show job "$1" | grep -o " $2=[^ ]*" | cut -d= -f2 | sort | uniq -c | awk '{print $1 "x" $2}' | xargs
}

queued() { [[ $(squeue -h "$@" 2>/dev/null) ]]; }

ended() { # wait for a job, or an array; say whenever it is put back; lift its limit once each task was so many times
    local restarts now lifted= until=$((SECONDS + 60 * most_minutes))
    restarts=$(field "$1" Restarts)
    while queued -j "$1"; do
        if ((SECONDS > until)); then
            fail "job $1: no end after $most_minutes minutes"
            break
        fi
        now=$(field "$1" Restarts)
        if [[ $now != "$restarts" ]]; then say "job $1: put back (tasks x times: $now)"; fi
        restarts=$now
        if [[ ! $lifted && $(hits "$1") -ge $2 ]] && scontrol update "JobId=$1" TimeLimit=60 2>/dev/null; then
            say "job $1: its limit is 60 minutes from here on"
            lifted=1
        fi
        sleep 0.5
    done
    say "job $1: ended; tasks x state: $(field "$1" JobState), exit code $(field "$1" ExitCode), restarts $restarts"
    grep -E "Warning signal|equeu|imit" "$state/slurmctld.log" | grep -E "Id=$1|Id=${1}_" | sed 's/^/    slurmctld: /' |
        tee -a "$state/log" || true
    cat slurm-"$1"*.log >>"$state/log" || true
    check "it is completed" test "$(field "$1" JobState | cut -dx -f2)" = COMPLETED
}

hits() { scontrol -o show job "$1" | grep -o " Restarts=[0-9]*" | cut -d= -f2 | sort -n | head -1; } # of each task

check() { # what, and a command that must succeed
    local what=$1
    shift
    if "$@" >>"$state/log" 2>&1; then say "good: $what"; else fail "$what"; fi
}

same() { # two run folders: parameters, optimisers, counters, evaluation, and metrics without seconds
    python - "$here/scripts" "$@" <<'END'
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import digests

whole, run = (digests.read_run(Path(path)) for path in sys.argv[2:])
different, new = digests.compare(whole, run)
print("   ", *(different + new or [f"sha256 {whole['sha256'][:16]} and {run['sha256'][:16]}"]))
sys.exit(bool(different or new))
END
}

alone() { # a run of train.sbatch's command under mpirun, outside SLURM
    mpirun -n 2 trpo-gail train Hopper-v4 --expert expert_data/Hopper-v4.h5 --trajectories 4 --subsample 20 \
        --out "$1" --iterations "$2" "${tiny[@]}" >"$1.log" 2>&1 || {
        fail "the run outside SLURM: $(tail -1 "$1.log")"
        exit 1
    }
}

submit() { # sets job
    job=$(sbatch --parsable "$@" 2>>"$state/log") || {
        fail "sbatch does not take the job"
        exit 1
    }
}

# ---- what is tried ----

try_limit() {
    alone runs/whole "$iterations"
    say "train.sbatch, two ranks by pmi2, a limit of 2 minutes, a signal 60 s (and up to 30 s more) before it"
    local job
    submit --time=2 --signal=B:USR1@60 --ntasks=2 scripts/slurm/train.sbatch runs/limited \
        --iterations "$iterations" "${tiny[@]}"
    ended "$job" 2
    check "it hit its limit twice or more" test "$(hits "$job")" -ge 2
    check "two ranks ran as one job" grep -q '"ranks": 2' runs/limited/summary.json
    check "it is bit-equal to the run that nothing interrupted" same runs/whole runs/limited
}

try_start() {
    alone runs/short 5
    say "train.sbatch, the signal as soon as the ranks start"
    local job
    submit --time=10 --ntasks=2 scripts/slurm/train.sbatch runs/signalled --iterations 5 "${tiny[@]}"
    while queued -j "$job" && [[ $(squeue -h -s -j "$job" -o %i 2>/dev/null) != *"$job.0"* ]]; do sleep 0.1; done
    scancel --signal=USR1 "$job"
    ended "$job" 1
    check "it was put back once" test "$(hits "$job")" -eq 1
    check "it is bit-equal to the run that nothing interrupted" same runs/short runs/signalled
}

try_preempt() {
    alone runs/longer 40
    say "train.sbatch, SIGTERM to the ranks after the first checkpoint, as a preemption with a time of grace sends it"
    local job
    submit --time=10 --ntasks=2 scripts/slurm/train.sbatch runs/preempted --iterations 40 --save_every 1 "${tiny[@]}"
    while queued -j "$job" && [[ ! $(find runs/preempted/checkpoints -name '*_*.pt' 2>/dev/null) ]]; do sleep 0.1; done
    scancel --signal=TERM "$job"
    ended "$job" 1
    check "it was put back once" test "$(hits "$job")" -eq 1
    check "it is bit-equal to the run that nothing interrupted" same runs/longer runs/preempted
}

try_array() {
    trpo-gail paper run "${cells[@]}" --jobs 2 --runs runs/whole_cells --results runs/whole_results >cells.log 2>&1
    say "paper.sbatch, an array of two tasks: ${cells[*]}"
    local job
    submit --array=1-2 --cpus-per-task=1 --time=2 --signal=B:USR1@75 scripts/slurm/paper.sbatch "${cells[@]}" \
        --runs runs/cells --results runs/results
    ended "$job" 1
    check "each task hit its limit once or more" test "$(hits "$job")" -ge 1
    check "as many cells are finished" test "$(ls runs/cells)" = "$(ls runs/whole_cells)"
    for cell in runs/whole_cells/*/; do
        check "$(basename "$cell") is bit-equal" same "$cell" "runs/cells/$(basename "$cell")"
    done
}

main() {
    [[ $EUID == 0 ]] || skip "it needs root, to start slurmd"
    [[ $(command -v trpo-gail) ]] || skip "no trpo-gail on the PATH"
    mpirun --version 2>/dev/null | grep -qi hydra || skip "the mpirun on the PATH is not MPICH's"
    state=$(mktemp -d)
    chmod 755 "$state"
    trap end EXIT
    trap 'exit 130' INT TERM HUP
    find_programs
    configure
    start
    failed=
    # The folder that the jobs are submitted from, in place of a checkout on a shared disk.
    mkdir -p "$state/checkout/runs" "$state/checkout/.venv"
    ln -s "$(dirname "$(command -v trpo-gail)")" "$state/checkout/.venv/bin"
    ln -s "$here/expert_data" "$here/scripts" "$here/trpo_gail" "$state/checkout"
    cd "$state/checkout"
    say "$(date -u +%Y-%m-%d), $(<"$state/version"), MPICH $(mpirun --version | awk '/Version:/ {print $2}')," \
        "$(nproc --all) cores"
    for name in "$@"; do "try_$name"; done
    [[ ! $failed ]]
}

read -ra tries <<<"${TRIES:-start preempt limit array}"
main "${tries[@]}"
