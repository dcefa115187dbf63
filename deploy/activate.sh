#!/usr/bin/env bash
# Make a release in /opt/edged/releases the one that runs; go back to the one before if it does not become ready.
# install.sh and the Debian package call it; every release has it as libexec/activate.
set -euo pipefail

readonly ROOT=/opt/edged
readonly UNIT=edged.service
readonly CONFIG=/etc/edged/edged.yaml
# a release has to be ready within the unit's own TimeoutStartSec, and then to stay up this long
readonly SETTLE_S=5

usage() {
    cat <<USAGE
Usage: activate [--units DIR] [--start] RELEASE

Makes $ROOT/releases/RELEASE the one that runs. Where the service runs, it is restarted; if it does not become ready,
the release before is put back and started again (exit 1).

  --units DIR   where systemd's files go (default /usr/local/lib)
  --start       enable and start the service if it does not run yet

Example: $ROOT/releases/0.1.0-3f2a91bc/libexec/activate 0.1.0-3f2a91bc
USAGE
}

say() { printf '==> %s\n' "$*" >&2; }
error() { printf 'error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf '  fix: %s\n' "$2" >&2; }

systemd_runs() { [ -d /run/systemd/system ]; }

is_wanted() { # the service runs, or systemd keeps trying to start it
    case $(systemctl show --property=ActiveState --value "$UNIT") in
        active | activating | reloading) return 0 ;;
        *) return 1 ;;
    esac
}

# The files of systemd that a release has.
units_of() { # RELEASE
    (cd "$1/share/units" 2>/dev/null && find . -type f) | LC_ALL=C sort
}

# Point `current` and systemd's files at a release: either the old link is there or the new one.
switch_to() { # RELEASE UNITS
    local file
    # what only the release before has would stay, and run, for ever
    LC_ALL=C comm -23 <(units_of "$ROOT/current") <(units_of "$ROOT/releases/$1") | while read -r file; do
        case $file in
            *.d/*) ;;
            ./systemd/system/*) ! systemd_runs || systemctl disable --now --quiet "${file##*/}" 2>/dev/null || true ;;
        esac
        rm -f "$2/$file"
        rmdir --ignore-fail-on-non-empty "$(dirname "$2/$file")" 2>/dev/null || true
    done
    units_of "$ROOT/releases/$1" | while read -r file; do
        # a full disk must not leave half a unit
        install -D -m 644 "$ROOT/releases/$1/share/units/$file" "$2/$file.new"
        mv -T "$2/$file.new" "$2/$file"
    done
    ln -sfn "releases/$1" "$ROOT/.current.new"
    mv -T "$ROOT/.current.new" "$ROOT/current"
    systemd-sysusers "$2/sysusers.d/edged.conf"
    if systemd_runs; then
        systemctl daemon-reload
    fi
    systemd-tmpfiles --create "$2/tmpfiles.d/edged.conf"
}

# Run what `current` points to as the user it will run as.
as_edged() {
    setpriv --reuid=edged --regid=edged --init-groups "$ROOT/current/bin/edged" "$@" >/dev/null
}

# Which life of the service this is: a daemon that crashed begins anew in the same process, but says so.
life() { systemctl show --property=ExecMainStartTimestampMonotonic --property=StatusText "$UNIT"; }

# Restart the service; ready when systemd says so, and still in the same life a little later.
becomes_ready() {
    local since
    since=$(date +%s)
    systemctl reset-failed "$UNIT" 2>/dev/null || true
    # what it builds is of the release before; it starts again with the daemon
    systemctl stop edged-compile.service 2>/dev/null || true
    if ! systemctl restart "$UNIT"; then
        sleep 1 # the last lines are on their way to the journal
        journalctl --unit="$UNIT" --since="@$since" --lines=40 --no-pager --output=cat >&2 || true
        return 1
    fi
    local began waited
    began=$(life)
    case $began in *"safe mode"*) return 1 ;; esac
    for ((waited = 0; waited < SETTLE_S; waited++)); do
        sleep 1
        [ "$(life)" = "$began" ] || return 1
    done
    systemctl is-active --quiet "$UNIT"
}

go_back() { # RELEASE UNITS WAS_WANTED
    if [ -z "$1" ]; then
        # the first installation: nothing to go back to, and nothing that would be tried for ever; what systemd was
        # trying before goes on
        ! systemd_runs || [ "$wanted" = yes ] || systemctl stop "$UNIT" || true
        error "there is no earlier release to go back to" "see the messages above: journalctl --unit=$UNIT"
        exit 1
    fi
    say "going back to $1"
    switch_to "$1" "$2"
    if [ "$3" = yes ] && ! becomes_ready; then
        error "$1 is put back, but does not become ready either" "journalctl --unit=$UNIT"
        exit 1
    fi
    if [ "$3" = yes ]; then
        error "the new release did not become ready; $1 is put back and runs" "journalctl --unit=$UNIT tells why"
    else
        error "$1 is put back; what ran was not restarted"
    fi
    exit 1
}

units=/usr/local/lib start=no release=
while [ $# -gt 0 ]; do
    case $1 in
        --units) units=${2:?--units needs a directory}; shift ;;
        --start) start=yes ;;
        --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) release=$1 ;;
    esac
    shift
done
[ -n "$release" ] || { usage >&2; exit 2; }
[ -x "$ROOT/releases/$release/bin/edged" ] || { error "$ROOT/releases/$release is no release"; exit 1; }

before=$(basename "$(readlink "$ROOT/current" || true)")
[ -d "$ROOT/releases/$before" ] || before=
wanted=no runs_already=no
if systemd_runs && is_wanted; then wanted=yes; fi
if [ "$before" = "$release" ]; then
    before=
    ! systemd_runs || ! systemctl is-active --quiet "$UNIT" || runs_already=yes
fi

switch_to "$release" "$units"
# what runs is not touched before these are sure
if ! as_edged --version; then
    error "$release does not run on this computer"
    go_back "$before" "$units" no
fi
if [ "$wanted" = yes ] && ! as_edged check-config "$CONFIG"; then
    error "$release cannot use $CONFIG"
    go_back "$before" "$units" no
fi
if ! systemd_runs; then
    say "systemd does not run here: nothing is started"
elif [ "$runs_already" = no ] && { [ "$wanted" = yes ] || [ "$start" = yes ]; }; then
    say "starting $release, waiting until it is ready"
    becomes_ready || go_back "$before" "$units" "$wanted"
    say "$release is ready"
elif [ "$runs_already" = no ] && systemctl is-enabled --quiet "$UNIT" 2>/dev/null; then
    say "the service did not run before and is not started; see: systemctl status edged"
fi
if [ "$start" = yes ] && systemd_runs; then systemctl enable --quiet "$UNIT"; fi
