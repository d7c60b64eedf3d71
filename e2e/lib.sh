# What every end-to-end script sources: strict mode, a work directory, processes that are ended by
# pid when the script ends, and the words for pass, fail and not run.
# shellcheck shell=bash
set -euo pipefail

E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(cd "$E2E_DIR/.." && pwd)
E2E_NAME=${E2E_NAME:-$(basename "$0")}
. "$E2E_DIR/lib/cache.sh"

# The exit code that e2e/run counts as NOT RUN; the reason is the last line printed.
NOT_RUN_CODE=77

WORK=$(mktemp -d "${TMPDIR:-/tmp}/wharf-e2e-$E2E_NAME.XXXXXX")
CHILD_PIDS=()
CLEANUPS=()
CHECKS=0

log() { printf '%s: %s\n' "$E2E_NAME" "$*"; }
ok() {
    CHECKS=$((CHECKS + 1))
    printf '%s: ok %d - %s\n' "$E2E_NAME" "$CHECKS" "$*"
}
fail() {
    printf '%s: FAIL - %s\n' "$E2E_NAME" "$*" >&2
    exit 1
}
not_run() {
    printf 'NOT RUN: %s\n' "$*"
    exit "$NOT_RUN_CODE"
}
# left_out WHAT...: a check within a part that this machine cannot run, and why. e2e/run shows it as NOT RUN.
left_out() { printf 'LEFT OUT: %s\n' "$*"; }
# need PROGRAM...: ends the script as NOT RUN when one of them is not on this machine.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || not_run "$program is not on this machine"
    done
}

# same WHAT A B: fails unless the two strings are equal.
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; ok "$1"; }
# contains WHAT TEXT PART
contains() { [[ $2 == *"$3"* ]] || fail "$1: no '$3' in: $2"; ok "$1"; }
# same_file WHAT A B
same_file() { cmp -s "$2" "$3" || fail "$1: $2 and $3 differ"; ok "$1"; }
# refused WHAT COMMAND...: fails if the command succeeds.
refused() {
    local what=$1
    shift
    if "$@" >"$WORK/refused.log" 2>&1; then fail "$what: succeeded, and should not: $*"; fi
    ok "$what"
}

digest_of() { printf 'sha256:%s' "$(sha256sum <"$1" | cut -d' ' -f1)"; }
sha512_of() { printf 'sha512:%s' "$(sha512sum <"$1" | cut -d' ' -f1)"; }

# wait_for SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
    local tries=$(($1 * 20))
    shift
    while [ "$tries" -gt 0 ]; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.05
        tries=$((tries - 1))
    done
    return 1
}

# end_pid PID [SECONDS]: TERM, then KILL after that long (10 s unless told).
end_pid() {
    local pid=$1 tries=$((${2:-10} * 20))
    kill -TERM "$pid" 2>/dev/null || return 0
    while [ "$tries" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.05
        tries=$((tries - 1))
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

on_exit() { CLEANUPS+=("$1"); }
finish() {
    local code=$? i
    set +e
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do eval "${CLEANUPS[i]}"; done
    for ((i = ${#CHILD_PIDS[@]} - 1; i >= 0; i--)); do end_pid "${CHILD_PIDS[i]}"; done
    # A client may have left mounts below the work directory; rm must not walk into them.
    awk -v d="$WORK/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mounted; do umount -l "$mounted" 2>/dev/null; done
    if [ "$code" -ne 0 ] && [ "$code" -ne "$NOT_RUN_CODE" ] && [ -n "${SERVER_LOG:-}" ] && [ -f "$SERVER_LOG" ]; then
        printf -- '--- last lines of the server log\n' >&2
        tail -n 12 "$SERVER_LOG" | cut -c1-300 >&2
    fi
    if [ -n "${E2E_KEEP:-}" ]; then log "kept $WORK"; else rm -rf "$WORK"; fi
    [ "$code" -ne 0 ] || log "passed, $CHECKS checks"
    exit "$code"
}
trap finish EXIT
# A command that fails where none may: say which, because set -e ends the script without a word.
set -E
trap 'printf "%s: FAIL - %s:%s: %s\n" "$E2E_NAME" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap 'exit 130' INT TERM

. "$E2E_DIR/lib/server.sh"
. "$E2E_DIR/lib/http.sh"
. "$E2E_DIR/lib/image.sh"
