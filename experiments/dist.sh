#!/usr/bin/env bash
# What would be uploaded: builds sdist and wheel, checks both for the package index, installs the wheel with its
# dependencies into an environment of its own and runs it there. Needs build, twine and uv.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-uv} python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

git archive HEAD | tar -x --one-top-level="$folder/source"
"$python" -m build --outdir "$folder/dist" "$folder/source" > /dev/null
"$python" -m twine check --strict "$folder"/dist/*
"$uv" venv --quiet "$folder/venv"
VIRTUAL_ENV="$folder/venv" "$uv" pip install --quiet "$folder"/dist/*.whl
cd "$folder" # away from the source
AUGFACE_OFFLINE=1 AUGFACE_CACHE="$folder/cache" "$folder/venv/bin/augface" doctor
