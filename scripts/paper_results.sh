#!/usr/bin/env bash
# Writes the paper's table, in three formats, and its figure from the existing results. It takes seconds; nothing is
# trained.
#
#   scripts/paper_results.sh [RESULTS]      default: results/paper
set -euo pipefail

results=${1:-results/paper}

trpo-gail paper table --results "$results" --format md --out "$results/table.md"
trpo-gail paper table --results "$results" --format csv --out "$results/table.csv"
trpo-gail paper table --results "$results" --format latex --out "$results/table.tex"
trpo-gail paper figure --results "$results"
