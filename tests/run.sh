#!/usr/bin/env bash
# Run every check: style, types, generated docs, import contract, tests and doctests. Sets itself up in ./.venv-test.
# Arguments go to pytest: tests/run.sh tests/edged -k bundle
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/environment.sh
. deploy/environment.sh

# torch first and alone, so that the build it names is the one everything else sees
prepare_environment "$PWD/.venv-test" "torch==2.13.0" "-e .[dev]"
has_portaudio .venv-test/bin/python ||
    say "libportaudio2 is missing, microphone tests will be skipped; fix: sudo apt install libportaudio2"
command -v espeak-ng >/dev/null ||
    say "espeak-ng is missing, speech synthesis tests will be skipped; fix: sudo apt install espeak-ng"

bin=.venv-test/bin
real_builder="tensorrt-rtx-cu12>=1.4,<2"
if ! "$bin/python" -c 'import tensorrt_rtx' 2>/dev/null; then
    say "pip install $real_builder"
    "$bin/python" -m pip install -qq --disable-pip-version-check --retries 1 "$real_builder" ||
        say "it is not to be had (it comes for Linux on x86-64), tests of a real TensorRT builder will be skipped"
fi
failed=()
check() { # NAME COMMAND...
    say "$1"
    "${@:2}" || failed+=("$1")
}
# one thread each: the tests run side by side
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

check "ruff check" "$bin/ruff" check --quiet .
check "ruff format" "$bin/ruff" format --quiet --check .
check "mypy" "$bin/mypy" --no-error-summary
check "generated docs" "$bin/python" -m edged.docs --check
check "pytest" "$bin/python" -m pytest --numprocesses 2 --quiet "$@"

if [ "${#failed[@]}" -gt 0 ]; then
    fail "failed: ${failed[*]}"
fi
