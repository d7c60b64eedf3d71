# The server must not start, must say why on one line that names the thing, and must exit non-zero soon.
# shellcheck shell=bash disable=SC2034

# does_not_start WHAT WORDS COMMAND...: WORDS is a regular expression that the output must match.
does_not_start() {
    local what=$1 words=$2 code=0
    shift 2
    timeout 20 env -i PATH="$PATH" HOME="$WORK" "$@" </dev/null >start.log 2>&1 || code=$?
    [ "$code" != 0 ] || fail "$what: exit code 0"
    [ "$code" != 124 ] || fail "$what: it was still running after 20 s: $(tail -n 2 start.log)"
    [ "$code" -lt 128 ] || fail "$what: ended by a signal, exit code $code"
    if grep -qE 'panicked at|^goroutine [0-9]' start.log && [ "$SERVER" = wharf ]; then fail "$what: it panicked: $(head -n 3 start.log)"; fi
    grep -qiE -- "$words" start.log || fail "$what: the message does not say '$words': $(head -c 400 start.log)"
    ok "$what: exit $code, $(grep -iE -m 1 -- "$words" start.log | cut -c1-110)"
}

does_not_start "a missing config" 'no such file|not found|does not exist' "$BINARY" serve "$WORK/nowhere.yml"
printf 'version: 0.1\nstorage:\n  filesystem: [\n' >broken.yml
does_not_start "a config that is not YAML" 'broken\.yml' "$BINARY" serve "$WORK/broken.yml"
printf 'version: 9.9\nstorage:\n  inmemory: {}\n' >version.yml
does_not_start "a config of an unknown version" 'version' "$BINARY" serve "$WORK/version.yml"
printf 'version: 0.1\nstorage:\n  nosuchdriver: {}\nhttp:\n  addr: 127.0.0.1:0\n' >driver.yml
does_not_start "an unknown storage driver" 'nosuchdriver' "$BINARY" serve "$WORK/driver.yml"
printf 'version: 0.1\nhttp:\n  addr: 127.0.0.1:0\n' >nostorage.yml
does_not_start "no storage" 'storage' "$BINARY" serve "$WORK/nostorage.yml"
: >empty.yml
does_not_start "an empty config" 'empty|version|storage|EOF' "$BINARY" serve "$WORK/empty.yml"
does_not_start "a directory as config" 'directory' "$BINARY" serve "$WORK"
if [ "$SERVER" = wharf ]; then
    write_config good.yml "$WORK/nowhere" 0
    does_not_start "an environment variable with a bad value" 'REGISTRY_STORAGE_DELETE_ENABLED' \
        env REGISTRY_STORAGE_DELETE_ENABLED=perhaps "$BINARY" serve "$WORK/good.yml"
    does_not_start "an unknown verb" 'usage' "$BINARY" frobnicate
    does_not_start "an unknown flag" 'usage' "$BINARY" serve --frobnicate
fi

# The port is taken by another server: the second says which, the first goes on.
server_start
write_config occupied.yml "$WORK/volume-occupied" "$PORT"
does_not_start "an occupied port" "address already in use.*|$PORT" "$BINARY" serve "$WORK/occupied.yml"
server_alive "the server that has the port"
server_stop

# A root that cannot be written, by a user whom file modes bind. Either it does not start, or it
# answers writes with an error and goes on.
unwritable_root() {
    local code=0
    [ "$(id -u)" = 0 ] || { left_out "an unwritable root: needs root to become another user"; return 0; }
    command -v setpriv >/dev/null || { left_out "an unwritable root: setpriv is not on this machine"; return 0; }
    chmod 755 "$WORK"
    mkdir -m 555 "$WORK/unwritable"
    cp "$BINARY" "$WORK/server-binary"
    PORT=$(free_port) REG=127.0.0.1:$PORT URL=http://127.0.0.1:$PORT
    write_config unwritable.yml "$WORK/unwritable" "$PORT"
    setpriv --reuid 65534 --regid 65534 --clear-groups env -i PATH="$PATH" HOME=/ \
        "$WORK/server-binary" serve "$WORK/unwritable.yml" </dev/null >unwritable.log 2>&1 &
    SERVER_PID=$!
    CHILD_PIDS+=("$SERVER_PID")
    SERVER_LOG=$WORK/unwritable.log
    wait_for 15 server_answers_or_died || true
    if kill -0 "$SERVER_PID" 2>/dev/null; then
        refuses '500|503|507' 'UNKNOWN|UNAVAILABLE|DENIED' "an unwritable root: a push is answered with an error" POST /v2/bad/app/blobs/uploads/ -H 'Content-Length: 0'
        grep -qi 'permission denied' unwritable.log || fail "an unwritable root: the log does not say permission denied"
        server_alive "an unwritable root"
        server_stop
    else
        wait "$SERVER_PID" || code=$?
        [ "$code" != 0 ] || fail "an unwritable root: exit code 0"
        grep -qi 'permission denied' unwritable.log || fail "an unwritable root: $(tail -n 3 unwritable.log)"
        ok "an unwritable root: it does not start, and says $(grep -i -m 1 'permission denied' unwritable.log | cut -c1-110)"
        SERVER_PID=
    fi
    SERVER_LOG=$WORK/server.log
}
unwritable_root
