#!/usr/bin/env bash
# Builds the documentation site into build/site, from the pages and the docstrings. A warning is an error.
#
#   pip install -e '.[site]' && scripts/site.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python scripts/site/stage.py build/site_pages
python -m mkdocs build --strict --config-file scripts/site/mkdocs.yml "$@"
echo "site: build/site/index.html"
