# What the commands of this directory begin with.
# shellcheck shell=bash
# Where bench/install puts programs.
. "$here/../e2e/lib/cache.sh"
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1

# needs PROGRAM...: ends the command where one is missing.
needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        printf 'bench: %s is not on this machine (e2e/install brings what is needed)\n' "$program" >&2
        exit 2
    done
}

# find_wharf ARGUMENTS...: sets WHARF_BIN, and builds wharf where none is named and the arguments want it.
find_wharf() {
    if [ -z "${WHARF_BIN:-}" ] && [[ " $* " != *" --list "* && " $* " != *" --help "* && " $* " != *" --without wharf "* ]]; then
        (cd "$here/.." && env -u CARGO_TARGET_DIR cargo build --release --locked --quiet --bin wharf)
    fi
    export WHARF_BIN=${WHARF_BIN:-$here/../target/release/wharf}
}
