#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh environment of each Python, and runs a quick part of the tests on it there.
#
#     packaging/python_versions.sh [PYTHON ...]
#
# By default each of python3.10 to python3.13 that is on the PATH, or of pyenv, and runs. Every one downloads its own torch and packages.
# The exit status is 1 if any failed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
quick=(tests/test_import.py tests/test_python_versions.py tests/edit/test_request.py tests/edit/test_hparams.py
  tests/edit/test_update.py tests/data/test_load_records.py tests/editors/algorithms/test_low_rank_editors.py
  tests/cli/test_cli.py tests/cli/test_edit.py)
for file in "${quick[@]}"; do
  [ -f "$root/$file" ] || { echo "there is no $file: mend the list in $0" >&2; exit 2; }
done

# The tests run beside the wheel and not beside the sources, which they would import instead.
cp -r "$root/tests" "$root/constraints.txt" "$root/pyproject.toml" "$work"

if [ $# -eq 0 ]; then
  for version in 3.10 3.11 3.12 3.13; do
    for python in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
      if "$python" -c "import sys; assert sys.version.startswith('$version')" 2>/dev/null; then
        set -- "$@" "$python"
        break
      fi
    done
  done
fi
# EasyEdit is not in these environments, and `doctor` says so: its test is left out.
status=0
for python in "$@"; do
  echo "== $("$python" -V)"
  venv="$work/$("$python" -c 'import sys; print("py%d%d" % sys.version_info[:2])')"
  "$python" -m venv "$venv"
  if [ ! -d "$work/dist" ]; then
    "$venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" "$root"
  fi
  wheel=$(ls "$work"/dist/*.whl)
  if "$venv/bin/python" -m pip install --quiet --constraint "$work/constraints.txt" "${wheel}[test]" &&
    (cd "$work" && "$venv/bin/python" -m pytest -q -m 'not slow and not real and not gemma' -p no:cacheprovider \
      --deselect tests/cli/test_cli.py::test_doctor_is_content_here "${quick[@]}"); then
    echo "== $("$python" -V): passed"
  else
    echo "== $("$python" -V): FAILED"
    status=1
  fi
  rm -rf "$venv"
done
exit "$status"
