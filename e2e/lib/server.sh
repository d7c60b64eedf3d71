# The server under test: wharf, or Debian's docker-registry (CNCF Distribution) with SERVER=distribution,
# which the suite itself is proven against. Both get the same config file.
# shellcheck shell=bash
SERVER=${SERVER:-wharf}
WHARF_BIN=${WHARF_BIN:-$REPO_DIR/target/release/wharf}
DISTRIBUTION_BIN=${DISTRIBUTION_BIN:-docker-registry}

SERVER_PID=
SERVER_ENV=()
# What /v2/ answers when the server is ready; 401 with authentication.
SERVER_READY_STATUS=200
UPLOAD_PURGING='{enabled: false}'
# https: the caller configures TLS, and gives curl the authority (CURL_HOME).
SERVER_SCHEME=http
SERVER_LOG=$WORK/server.log
SERVER_CONFIG=$WORK/server.yml
VOLUME=$WORK/volume

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return 0
        fi
    done
    fail "no free port found in 100 tries"
}

# server_binary KIND: prints the binary, building wharf on demand.
server_binary() {
    if [ "$1" = distribution ]; then
        command -v "$DISTRIBUTION_BIN"
        return
    fi
    if [ ! -x "$WHARF_BIN" ] && [ "$WHARF_BIN" = "$REPO_DIR/target/release/wharf" ]; then
        (cd "$REPO_DIR" && env -u CARGO_TARGET_DIR cargo build --release --locked --bin wharf) >&2
    fi
    [ -x "$WHARF_BIN" ] || fail "no wharf binary at $WHARF_BIN"
    printf '%s' "$WHARF_BIN"
}

# write_config FILE VOLUME PORT [EXTRA]: the config every script starts from, both servers read it.
# EXTRA is more top-level YAML.
write_config() {
    cat >"$1" <<YAML
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: $2
  delete:
    enabled: true
  maintenance:
    uploadpurging: $UPLOAD_PURGING
http:
  addr: 127.0.0.1:$3
${4:-}
YAML
}

# SERVER_RUNNING="PORT PID LOG": a server that another script has started and ends, for server_start to take.
# server_running: sets what server_start sets.
server_running() {
    read -r PORT SERVER_PID SERVER_LOG <<<"$SERVER_RUNNING"
    REG=127.0.0.1:$PORT
    URL=$SERVER_SCHEME://$REG
    server_answers || fail "the server that is said to run on $URL does not answer"
}

# server_start [KIND] [EXTRA]: serves $VOLUME on a free loopback port; sets PORT, REG (host:port), URL.
server_start() {
    local kind=${1:-$SERVER} extra=${2:-} binary
    if [ -n "${SERVER_RUNNING:-}" ]; then
        [ -z "$extra" ] || fail "a server that runs already cannot be given a configuration"
        server_running
        return 0
    fi
    binary=$(server_binary "$kind")
    [ -n "$binary" ] || fail "no binary for the server '$kind'"
    mkdir -p "$VOLUME"
    for _ in 1 2 3; do
        PORT=${SERVER_PORT:-$(free_port)}
        REG=127.0.0.1:$PORT
        URL=$SERVER_SCHEME://$REG
        write_config "$SERVER_CONFIG" "$VOLUME" "$PORT" "$extra"
        server_spawn "$binary"
        wait_for 15 server_answers_or_died || true
        if server_answers; then return 0; fi
        server_stop
    done
    fail "the server '$kind' did not answer on $URL (log: $(tail -n 3 "$SERVER_LOG" | tr '\n' ' '))"
}

# server_spawn BINARY: runs it in the background on $SERVER_CONFIG without waiting for an answer. The
# environment is bare, because both servers read REGISTRY_* and podman has a REGISTRY_AUTH_FILE.
server_spawn() {
    env -i PATH="$PATH" HOME="$WORK" ${SERVER_ENV[@]+"${SERVER_ENV[@]}"} "$1" serve "$SERVER_CONFIG" </dev/null >>"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    CHILD_PIDS+=("$SERVER_PID")
}

server_answers_or_died() { server_answers || ! kill -0 "$SERVER_PID" 2>/dev/null; }
server_answers() {
    kill -0 "$SERVER_PID" 2>/dev/null || return 1
    [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "$URL/v2/")" = "$SERVER_READY_STATUS" ]
}

server_stop() {
    [ -n "$SERVER_PID" ] || return 0
    end_pid "$SERVER_PID"
    SERVER_PID=
}

# server_alive WHAT: the server still runs and still serves.
server_alive() {
    kill -0 "$SERVER_PID" 2>/dev/null || fail "$1: the server is gone"
    wait_for 5 server_answers || fail "$1: the server does not answer any more"
    ok "$1: the server goes on serving"
}
