#!/usr/bin/env bash
# Install edged on this computer as a systemd service, upgrade it or remove it; see `deploy/install.sh --help`.
set -euo pipefail
umask 022
source_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/environment.sh
. "$source_tree/deploy/environment.sh"
# shellcheck source=deploy/release.sh
. "$source_tree/deploy/release.sh"

readonly ROOT=/opt/edged UNITS=/usr/local/lib COMMAND=/usr/local/bin/edged
readonly CONFIG=/etc/edged/edged.yaml

usage() {
    cat <<USAGE
Usage: sudo deploy/install.sh [OPTION...]

Installs edged from this source tree into $ROOT/releases/VERSION, as a systemd service of its own user, or upgrades it.
A running service is restarted; if the new version does not become ready, the one before is put back and started again.
Configuration (/etc/edged) and state (/var/lib/edged) are kept. Run again, it changes nothing that is as it should be.

  --offline WHEELDIR       take every package from this directory, none from the network
  --download WHEELDIR      only fill such a directory, on a computer of the same kind that has network
  --system-site-packages   use the system's Python packages too; chosen by itself on a Jetson with TensorRT. Builds
                           pycuda, which engines need, if it is not there
  --no-start               do not start a service that does not run
  --rollback               go back to the release before this one
  --uninstall              remove edged; configuration, recordings and state stay
  --purge                  with --uninstall: remove those too
  --dry-run                say what would be done
  --help                   this

PYTHON chooses the interpreter (3.10 or newer; default /usr/bin/python3).

Examples:
  sudo deploy/install.sh
  deploy/install.sh --download wheels && sudo deploy/install.sh --offline wheels
  sudo deploy/install.sh --uninstall
USAGE
}

# -- what is there -----------------------------------------------------------------------------------------------------

current_release() { basename "$(readlink "$ROOT/current" 2>/dev/null || true)"; }

releases() { # newest first
    find "$ROOT/releases" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%T@ %f\n' 2>/dev/null |
        sort -rn | cut -d' ' -f2
}

has_tensorrt() { # a Jetson whose system Python has it
    [ -e /etc/nv_tegra_release ] && "$1" -c 'import tensorrt' 2>/dev/null
}

check_place() {
    [ "$(id -u)" -eq 0 ] || fail "only root can install a service" "sudo $0 ${arguments[*]}"
    [ -d /run/systemd/system ] || fail "systemd does not run here" "without it: deploy/try.sh, then .venv/bin/edged run"
    # shellcheck disable=SC2016 # the dollar is dpkg-query's
    case $(dpkg-query --show --showformat='${db:Status-Status}' edged 2>/dev/null || true) in
        installed | half-configured | unpacked)
            fail "edged is installed as a Debian package" \
                "upgrade with that (apt install ./edged_VERSION.deb), or remove it first: apt remove edged" ;;
    esac
}

one_at_a_time() {
    mkdir -p "$ROOT"
    exec 9>"$ROOT/.lock"
    flock --nonblock 9 || fail "another installation of edged is under way" "wait until it has ended"
}

# -- what is done ------------------------------------------------------------------------------------------------------

plan() {
    local present
    present=$(current_release)
    case $mode in
        install)
            say "installed now: ${present:-nothing}"
            say "get the packages ($([ -n "$offline" ] && printf 'from %s' "$offline" || printf 'from the network'))"
            say "make $ROOT/releases/VERSION-DIGEST with $(find_system_python); nothing more if it is the one installed"
            say "put systemd's files into $UNITS, make user edged, point $ROOT/current at it, $COMMAND at that"
            say "restart the service if it runs, and wait until it is ready$([ -z "$present" ] || printf '; else back to %s' "$present")"
            [ -n "$present" ] || say "enable and start the service if $CONFIG is there$([ "$start" = yes ] || printf ' (not: --no-start)')" ;;
        rollback) say "point $ROOT/current at $(previous_release), restart the service if it runs" ;;
        uninstall)
            say "stop and disable the service, remove $ROOT, $COMMAND and systemd's files in $UNITS"
            [ "$purge" = no ] || say "remove /etc/edged, /var/lib/edged, /var/log/edged" ;;
        download) say "put the packages into $download" ;;
    esac
}

download_wheels() {
    local python
    tool=$(mktemp -d)
    trap 'rm -rf "$tool"' EXIT
    python=$(find_system_python)
    new_environment "$python" "$tool/venv"
    mkdir -p "$download"
    [ -z "$(ls -A "$download")" ] || fail "$download is not empty" "name a new directory"
    collect_wheels "$tool/venv/bin/python" "$source_tree" "$(cd "$download" && pwd)"
    if [ "$system_packages" = yes ] || has_tensorrt "$python"; then
        collect_engine_packages "$tool/venv/bin/python" "$(cd "$download" && pwd)" "$tool/kept"
    fi
    say "$(find "$download" -name '*.whl' | wc -l) packages in $download"
}

install_release() {
    local python options=() name
    check_place
    python=$(find_system_python)
    if [ "$system_packages" = yes ] || has_tensorrt "$python"; then
        say "using the system's Python packages too"
        options=(--system-site-packages)
    fi
    has_portaudio "$python" || say "PortAudio is missing, without it there are no microphones: sudo apt install libportaudio2"
    one_at_a_time
    mkdir -p "$ROOT/releases"
    rm -rf "$ROOT"/releases/.new.*
    stage=$(mktemp -d "$ROOT/releases/.new.XXXXXX")
    wheels=$(mktemp -d)
    trap 'rm -rf "$stage" "$wheels"' EXIT
    chmod 755 "$stage"

    say "getting the packages"
    new_environment "$python" "$stage" "${options[@]}"
    collect_wheels "$stage/bin/python" "$source_tree" "$wheels" "$offline"
    [ "${#options[@]}" -eq 0 ] || collect_engine_packages "$stage/bin/python" "$wheels" "$ROOT/built" "$offline"
    name=$(release_name "$wheels" "${options[@]}")
    if [ -x "$ROOT/releases/$name/bin/edged" ]; then
        say "$name is there already"
    else
        say "making $name"
        build_release "$source_tree" "$wheels" "$stage" "$ROOT/releases/$name"
        "$stage/bin/python" -m compileall -q -s "$stage" -p "$ROOT/releases/$name" "$stage/lib" ||
            fail "the release could not be compiled" "see the messages above; room on the disk: df $ROOT"
        mv -T "$stage" "$ROOT/releases/$name"
        made=yes
    fi
    activate "$name"
}

# Let a release make itself the one that runs; it goes back by itself if it cannot. Two releases are kept.
activate() { # RELEASE
    local options=() before name
    before=$(current_release)
    if [ -z "$before" ] && [ -e "$CONFIG" ] && [ "$start" = yes ]; then options=(--start); fi
    if ! "$ROOT/releases/$1/libexec/activate" --units "$UNITS" "${options[@]}" "$1"; then
        # one that was there before may still serve, once what was wrong is mended
        [ "$made" = no ] || [ "$(current_release)" = "$1" ] || rm -rf "${ROOT:?}/releases/$1"
        exit 1
    fi
    ln -sfn "$ROOT/current/bin/edged" "$COMMAND"
    [ "$before" != "$1" ] || before=$(previous_release)
    for name in $(releases); do
        case $name in "$1" | "$before") ;; *) rm -rf "${ROOT:?}/releases/$name" ;; esac
    done
    say_what_next
}

say_what_next() {
    if systemctl is-active --quiet edged; then
        say "edged runs; see: edged status"
    elif [ -e "$CONFIG" ]; then
        say "start it: sudo systemctl enable --now edged"
    else
        say "write $CONFIG (every setting: $ROOT/current/share/doc/edged/edged.example.yaml), then:"
        say "  edged check-config $CONFIG && sudo systemctl enable --now edged"
    fi
}

previous_release() { releases | grep -vxF -m 1 "$(current_release)" || true; }

roll_back() {
    local target
    check_place
    one_at_a_time
    target=$(previous_release)
    [ -n "$target" ] || fail "there is no earlier release to go back to"
    activate "$target"
}

uninstall() {
    check_place
    one_at_a_time
    systemctl disable --now --quiet edged-mqtt.service 2>/dev/null || true
    systemctl disable --now --quiet edged.service 2>/dev/null || systemctl stop edged.service 2>/dev/null || true
    systemctl stop edged-compile.service 2>/dev/null || true
    rm -f "$UNITS"/systemd/system/edged.service "$UNITS"/systemd/system/edged.service.d/backoff.conf \
        "$UNITS"/systemd/system/edged-compile.service "$UNITS"/systemd/system/edged-mqtt.service \
        "$UNITS"/systemd/system-preset/50-edged.preset "$UNITS"/sysusers.d/edged.conf "$UNITS"/tmpfiles.d/edged.conf
    rmdir "$UNITS"/systemd/system/edged.service.d 2>/dev/null || true
    [ ! -L "$COMMAND" ] || rm -f "$COMMAND"
    rm -rf "${ROOT:?}"
    systemctl daemon-reload
    systemctl reset-failed edged.service 2>/dev/null || true
    if [ "$purge" = yes ]; then
        rm -rf /etc/edged /var/lib/edged /var/log/edged
        say "edged, its configuration and its state are removed; user edged stays (remove it: userdel edged)"
    else
        say "edged is removed; kept: /etc/edged, /var/lib/edged (remove those too: --uninstall --purge)"
    fi
}

# -- arguments ---------------------------------------------------------------------------------------------------------

arguments=("$@")
mode=install offline='' download='' system_packages=no start=yes purge=no dry_run=no made=no
wrong_use() { printf 'error: %s\n' "$1" >&2; usage >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --offline) offline=${2:-}; [ -d "$offline" ] || wrong_use "--offline needs a directory with wheels"; shift ;;
        --download) mode=download download=${2:-}; [ -n "$download" ] || wrong_use "--download needs a directory"; shift ;;
        --system-site-packages) system_packages=yes ;;
        --no-start) start=no ;;
        --rollback) mode=rollback ;;
        --uninstall) mode=uninstall ;;
        --purge) purge=yes ;;
        --dry-run) dry_run=yes ;;
        --help) usage; exit 0 ;;
        *) wrong_use "unknown option $1" ;;
    esac
    shift
done
[ "$purge" = no ] || [ "$mode" = uninstall ] || wrong_use "--purge belongs to --uninstall"

if [ "$dry_run" = yes ]; then
    plan
    exit 0
fi
case $mode in
    install) install_release ;;
    rollback) roll_back ;;
    uninstall) uninstall ;;
    download) download_wheels ;;
esac
