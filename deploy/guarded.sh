#!/usr/bin/env bash
# Carry out a change on a device, watch how it does, and undo it if it does badly; `--help` tells how.
# Every release has it as libexec/guarded.
set -euo pipefail

usage() {
    cat <<USAGE
Usage: sudo /opt/edged/current/libexec/guarded --undo COMMAND [OPTION...] -- CHANGE...

Runs CHANGE on a device that is healthy, then watches: \`edged doctor\` has to find nothing wrong, and no more alarms may
begin than are allowed. Else it runs the undo, as it does where the watch is interrupted (Ctrl-C). For references,
bundles and configuration; install.sh and the Debian package guard edged itself.

  --undo COMMAND    a line for the shell that takes the change back
  --minutes N       watch for so long (default 10)
  --alarms N        onsets of anomalies that are acceptable meanwhile (default 0)
  --every SECONDS   between two looks (default 30)
  --restart         restart the service after the change, and after the undo
  --help            this

Exit code: 0 the change stays; 1 it was undone; 2 wrong use; 3 nothing was changed: the device was not healthy before, or
CHANGE failed (what it left then is not undone).

Examples:
  sudo /opt/edged/current/libexec/guarded --undo 'edged references rollback --stream press-3' -- \\
      edged references import press.bank --stream press-3 --signer fleet.pub
  sudo /opt/edged/current/libexec/guarded --restart --undo 'ln -sfn press-1 /srv/bundles/press' -- \\
      ln -sfn press-2 /srv/bundles/press
USAGE
}

# nobody may read it any more: a message that cannot be told is no reason to stop
tell() { printf '%s\n' "$*" >&2 || true; }
say() { tell "==> $*"; }
wrong_use() { printf 'error: %s\n' "$1" >&2; usage >&2; exit 2; }
is_number() { [[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]] || wrong_use "$2 needs a whole number"; }

undo='' minutes=10 alarms=0 every_s=30 restart=no
while [ $# -gt 0 ]; do
    case $1 in
        --undo) undo=${2:-}; shift ;;
        --minutes) minutes=${2:-}; is_number "$minutes" --minutes; shift ;;
        --alarms) alarms=${2:-}; is_number "$alarms" --alarms; shift ;;
        --every) every_s=${2:-}; is_number "$every_s" --every; shift ;;
        --restart) restart=yes ;;
        --help) usage; exit 0 ;;
        --) shift; break ;;
        *) wrong_use "unknown option $1" ;;
    esac
    [ $# -eq 0 ] || shift
done
[ -n "$undo" ] || wrong_use "--undo is missing: the command that takes the change back"
[ $# -gt 0 ] || wrong_use "the change is missing: a command after --"

restarted() { [ "$restart" = no ] || systemctl restart edged; }

onsets_since() { # TIME
    local told
    told=$(edged events --since "$1" --topic anomaly. --limit 100000 --jsonl) || return 1
    grep -c '"kind": *"onset"' <<<"$told" || true
}

# Why the change has to go; fails, saying nothing, while all is well.
trouble_since() { # TIME
    local found count
    if ! found=$(edged doctor); then
        printf '%s\n' "$found" | grep '^wrong' || printf 'edged doctor failed. %s\n' "$found"
        return 0
    fi
    if ! count=$(onsets_since "$1"); then
        printf 'edged events failed: the alarms cannot be counted\n'
        return 0
    fi
    [ "$count" -gt "$alarms" ] || return 1
    printf '%s alarms began, %s are acceptable\n' "$count" "$alarms"
}

if ! found=$(edged doctor); then
    printf '%s\n' "$found" >&2
    say "the device was not healthy before: nothing is changed"
    exit 3
fi
# a terminal or connection that goes must not end the watch, nor keep the undo from being carried out
trap '' HUP PIPE
since=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
if ! "$@"; then
    say "the change failed; it is not undone"
    exit 3
fi
say "changed; watching for $minutes minutes"
deadline_s=$((SECONDS + 60 * minutes))
trouble='' interrupted=''
trap 'interrupted="the watch was interrupted"' INT TERM
restarted || trouble="the service does not start"
while [ -z "$trouble$interrupted" ] && ! trouble=$(trouble_since "$since") && [ "$SECONDS" -lt "$deadline_s" ]; do
    [ -n "$interrupted" ] || sleep "$every_s" || true  # ended by Ctrl-C as well
done
trap '' INT TERM  # the undo is carried out to its end
trouble=${interrupted:-$trouble}
if [ -z "$trouble" ]; then
    say "all is well: the change stays"
    exit 0
fi
tell "$trouble"
say "undoing it: $undo"
told=$(sh -c "$undo" 2>&1) || { tell "$told"; say "the undo failed: look after this device"; exit 1; }
[ -z "$told" ] || tell "$told"
restarted || { say "undone, but the service does not start: journalctl -u edged"; exit 1; }
say "undone"
exit 1
