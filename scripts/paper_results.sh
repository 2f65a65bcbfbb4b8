#!/usr/bin/env bash
# Writes the paper's table, in three formats, and its figure from the results that are there: seconds, no training.
#
#   scripts/paper_results.sh [RESULTS]      results/paper unless given
set -euo pipefail

results=${1:-results/paper}

write() {
    trpo-gail paper table --results "$results" --format "$1" > "$results/$2.part"
    mv "$results/$2.part" "$results/$2"
}

trap 'rm -f "$results"/table.*.part' EXIT
write md table.md
write csv table.csv
write latex table.tex
trpo-gail paper figure --results "$results"
