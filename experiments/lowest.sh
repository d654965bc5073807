#!/usr/bin/env bash
# The oldest dependencies that pyproject.toml allows: installs them into an environment of its own and runs the quick
# tests with them. Needs uv. TESTS names other tests, PYTHON another Python.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-uv}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tests=${TESTS:-tests/test_results.py tests/test_checks.py tests/test_metrics.py tests/test_generators.py tests/test_cli.py tests/test_report.py}

"$uv" venv --quiet --python "${PYTHON:-python3.11}" "$folder/venv"
export VIRTUAL_ENV="$folder/venv"
"$uv" pip install --quiet --resolution lowest-direct .
"$uv" pip install --quiet pytest jsonschema  # of which any version will do
"$uv" pip freeze | grep -ixE "($(sed -n '/^dependencies/,/^]/s/^ *"\([a-z0-9-]*\)>=.*/\1/p' pyproject.toml | paste -sd '|' | sed 's/-/[-_]/g'))==.*"
cp -r tests docs pyproject.toml "$folder"
cd "$folder" # so that what is tested is what was installed
# warnings of old versions are their own matter
"$folder/venv/bin/python" -m pytest -q -W default -o filterwarnings= -p no:cacheprovider $tests
