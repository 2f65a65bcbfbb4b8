#!/usr/bin/env bash
# All numbers of docs/speed.md and docs/scaling.md but those of learning with larger batches (scripts/batches.sh), on a
# machine that does nothing else meanwhile:
#
#   scripts/speed.sh                        into results/speed, with the peers' environments in ../peers
#   OUT=mine/speed PEERS=~/peers scripts/speed.sh
#   PARTS="bench peers" scripts/speed.sh    all but the seconds to the expert
#
# A file that is there is not made again, so the command can be repeated after an interruption. With two cores, `bench`
# takes an hour and a half, `peers` and `to_expert` 40 minutes each.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-results/speed} peers=${PEERS:-../peers} parts=${PARTS:-bench peers to_expert}
mkdir -p "$out"

# make FILE WORDS ...: run the words with --json, unless the file is there; what they print stands beside it as text.
make() {
    local file=$out/$1
    shift
    if [[ ! -s $file ]]; then
        echo "speed.sh: $file: $*" >&2
        "$@" --json "$file" | tee "${file%.json}.txt"
    fi
}

asleep() {
    MPIR_CVAR_CH4_PROGRESS_THROTTLE=1 MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT=64 "$@"
}

bench() {
    local batches="--ranks 2 --batches 2048 8192 32768 --seconds 20 --repeats 3"
    local falls="--env_kwargs '{\"terminate_when_unhealthy\": false}'"
    make parts.json trpo-gail bench update --batches 2048 50000 --widths 64 100 256
    make parts_paper.json trpo-gail bench update --preset paper --batches 50000 --widths 100
    make start.json trpo-gail bench start
    make throughput_hopper.json trpo-gail bench throughput Hopper-v4 --ranks 1 2
    make throughput_halfcheetah.json trpo-gail bench throughput HalfCheetah-v4 --ranks 1 2
    make throughput_walker2d.json trpo-gail bench throughput Walker2d-v4 --ranks 1 2
    make throughput_cartpole.json trpo-gail bench throughput CartPole-v1 --ranks 1 2
    make throughput_pointnav.json trpo-gail bench throughput PointNav2D-v0 --ranks 1 2
    make throughput_paper.json trpo-gail bench throughput Hopper-v4 --preset paper --seconds 60 --repeats 3
    make weak.json trpo-gail bench scaling Hopper-v4 --ranks 2 --repeats 15
    # shellcheck disable=SC2086
    make model.json trpo-gail bench scaling Hopper-v4 $batches
    make memory_short.json trpo-gail bench memory Humanoid-v4 --preset paper --iterations 1
    make memory_long.json trpo-gail bench memory Humanoid-v4 --preset paper --iterations 1 --flags="$falls"
    # MPICH's ranks spin while they wait, unless they are told to sleep; that matters if ranks share cores.
    make spinning.json trpo-gail bench scaling Hopper-v4 --ranks 4 8 --repeats 3
    make asleep.json asleep trpo-gail bench scaling Hopper-v4 --ranks 4 8 --repeats 3
    make extended.json python scripts/cost_model.py "$out"/{model,asleep}.json --held_out_rows 8192 --latency_us 2
    if [[ ! -s $out/batched_seeds.txt ]]; then
        python scripts/batched_seeds.py | tee "$out/batched_seeds.part"
        mv "$out/batched_seeds.part" "$out/batched_seeds.txt"
    fi
}

of_peers() {
    python scripts/bench_peers.py make "$peers"
    make update.json python scripts/bench_peers.py update "$peers" --rows 50000
    make rates.json python scripts/bench_peers.py rates "$peers" --repeats 3
}

to_expert() {
    python scripts/bench_peers.py to_expert "$peers" --rates "$out/rates.json" --only ours "imitation TRPO" \
        --json "$out/to_expert.json" | tee "$out/to_expert.txt"
}

for part in $parts; do
    case $part in
        bench) bench ;;
        peers) of_peers ;;
        # It goes on where its file ends.
        to_expert) to_expert ;;
        *) echo "speed.sh: PARTS: '$part' given, bench, peers or to_expert expected" >&2 && exit 2 ;;
    esac
done
