# Sourced by try.sh and tests/run.sh: one virtual environment, made once and kept as long as it is still right.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '  fix: %s\n' "$2" >&2
    exit 1
}

# The interpreter to build with: $PYTHON, else python3.
find_python() {
    local python=${PYTHON:-python3}
    command -v "$python" >/dev/null || fail "$python not found" "sudo apt install python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$python" --version) is too old, edged needs Python 3.10 or newer" \
            "install a newer one (sudo apt install python3.11 python3.11-venv) and run: PYTHON=python3.11 $0"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "this Python cannot make virtual environments" "sudo apt install python3-venv"
    printf '%s\n' "$python"
}

# What a usable environment was built from; anything else (moved folder, other Python) is rebuilt.
environment_identity() { # PYTHON DIRECTORY
    "$1" -c 'import sys; print(sys.version, sys.base_prefix, sys.argv[1], sep="\n")' "$2"
}

# The install steps a finished environment has seen.
install_identity() { # STEP...
    cat pyproject.toml
    printf '%s\n' "$@"
}

environment_is_sound() { # PYTHON DIRECTORY
    [ "$(cat "$2/.identity" 2>/dev/null)" = "$(environment_identity "$1" "$2")" ] &&
        "$2/bin/python" -m pip --version >/dev/null 2>&1
}

# Make DIRECTORY an environment in which every STEP (arguments of `pip install`) has been carried out.
prepare_environment() { # DIRECTORY STEP...
    local directory=$1 python step
    shift
    python=$(find_python)
    if ! environment_is_sound "$python" "$directory"; then
        say "making a virtual environment in ${directory##*/} ($("$python" --version))"
        rm -rf "$directory"
        "$python" -m venv "$directory" || fail "no virtual environment in $directory" "sudo apt install python3-venv"
        environment_identity "$python" "$directory" >"$directory/.identity"
    fi
    [ "$(cat "$directory/.installed" 2>/dev/null)" != "$(install_identity "$@")" ] || return 0
    rm -f "$directory/.installed"
    for step in "$@"; do
        say "pip install $step"
        # A step is several arguments in one string.
        # shellcheck disable=SC2086
        "$directory/bin/python" -m pip install -qq --disable-pip-version-check $step ||
            fail "pip could not install $step" "see pip's message above; with no network, set PIP_INDEX_URL to a mirror"
    done
    install_identity "$@" >"$directory/.installed"
}

has_portaudio() { # PYTHON
    "$1" -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("portaudio") is None)'
}
