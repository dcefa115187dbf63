#!/usr/bin/env bash
# Try edged on this computer: set it up in ./.venv (nothing outside this folder is touched) and run its demo.
# Arguments go to `edged demo`; see `deploy/try.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/environment.sh
. deploy/environment.sh

prepare_environment "$PWD/.venv" "-e .[microphone]"
say "edged demo: no microphone needed, about a minute"
status=0
.venv/bin/edged demo "$@" || status=$?
if [ "$status" -eq 0 ]; then
    say "edged is in .venv/bin/edged; the README goes on from here"
    has_portaudio .venv/bin/python || say "to listen to a microphone later: sudo apt install libportaudio2"
fi
exit "$status"
