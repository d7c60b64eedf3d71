# Connections: ten thousand idle ones beside an honest client, by a server that is started with a soft limit
# of 1024 descriptors; all of them, those of one address, and fewer descriptors than connections.
# shellcheck shell=bash
IDLE=10000
# The clients need them too.
ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" -gt $((IDLE + 1000)) ] || not_run "$IDLE connections need more than $(ulimit -n) file descriptors"
read -r first last </proc/sys/net/ipv4/ip_local_port_range
[ $((last - first)) -gt $((IDLE + 2000)) ] || not_run "$IDLE connections need more than $((last - first)) ports"

resident_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$SERVER_PID/status"; }
descriptors() { find "/proc/$SERVER_PID/fd" -type l 2>/dev/null | wc -l; }
# held COUNT: that many connections to the server are open.
held() {
    local count
    count=$(awk -v port="$(printf ':%04X' "$PORT")" '$4 == "01" && substr($2, length($2) - 4) == port' /proc/net/tcp | wc -l)
    [ "$count" -ge "$1" ]
}
# idle_begin COUNT [AUTHORITY]: they are there, or the script fails.
idle_begin() {
    rm -f ready stop
    "$CONNECTIONS" idle "$PORT" "$1" "$WORK" "${@:2}" >alive 2>idle.log &
    idle=$!
    CHILD_PIDS+=("$idle")
    wait_for 120 test -e ready || fail "$1 connections are not made: $(tail -n 3 idle.log)"
}
idle_end() {
    touch stop
    wait "$idle" || fail "the idle connections: $(tail -n 3 idle.log)"
}
head -c 20000000 /dev/urandom >blob
# goes WHAT REPOSITORY: a push and a pull by somebody else, in a reasonable time.
goes() {
    local started=$SECONDS
    push_blob "$2" blob
    pulls_blob "$1: another client pushes and pulls" "$2" "$(digest_of blob)" blob
    [ $((SECONDS - started)) -le 20 ] || fail "$1: a push and a pull of 20 MB took $((SECONDS - started)) s"
}

# with_descriptors OPTIONS-OF-ULIMIT...: servers are started so from now on.
with_descriptors() {
    printf '#!/bin/sh\nulimit %s\nexec "%s" "$@"\n' "$*" "$BINARY" >few
    chmod +x few
    WHARF_BIN=$WORK/few
}

# All of them stay for the whole test.
with_descriptors -S -n 1024
with "  limits:
    headertimeout: 10m
    idletimeout: 10m"
goes "before" limits/before
before=$(resident_kib)
idle_begin "$IDLE"
[ "$(descriptors)" -ge "$IDLE" ] || fail "the server has only $(descriptors) descriptors"
after=$(resident_kib)
goes "$IDLE idle connections" limits/idle
# An idle connection has a task, its timers and small buffers: 23 KiB optimized, and 25 KiB not.
# One that kept the buffer of a large read, 128 KiB, would be seen here.
bytes=$(((after - before) * 1024 / IDLE))
log "resident memory: $before KiB before, $after KiB with $IDLE idle connections: $bytes bytes each"
[ "$bytes" -le 49152 ] || fail "an idle connection takes $bytes bytes"
ok "memory is bounded"
idle_end
same "every connection that had been used is alive" $((IDLE / 2)) "$(cat alive)"
same "the soft limit on descriptors is the hard one" "$(ulimit -Hn)" "$(awk '/^Max open files/ { print $4 }' "/proc/$SERVER_PID/limits")"
WHARF_BIN=$BINARY
gone() { [ "$(descriptors)" -lt 200 ]; }
wait_for 20 gone || fail "$(descriptors) descriptors are open after all clients have gone"
ok "every connection is given back"

# HTTP/2: every request of a connection asks for something large, and nothing is read.
with "  h2c:
    enabled: true"
push_blob limits/deaf blob
goes "before clients that are deaf" limits/before-deaf
deaf_begin() {
    rm -f ready stop
    "$CONNECTIONS" http2-deaf "$PORT" "/v2/limits/deaf/blobs/$(digest_of blob)" "$1" 128 "$WORK" 2>deaf.log &
    deaf=$!
    CHILD_PIDS+=("$deaf")
    wait_for 60 test -e ready || fail "$1 deaf connections: $(tail -n 3 deaf.log)"
}
before=$(resident_kib)
deaf_begin 6
after=$(resident_kib)
goes "6 connections that read nothing of 128 answers each" limits/deaf-too
bytes=$(((after - before) * 1024 / 6))
log "resident memory: $before KiB before, $after KiB with 6 of them: $bytes bytes each"
[ "$bytes" -le 8388608 ] || fail "an HTTP/2 connection that reads nothing takes $bytes bytes"
ok "memory is bounded with HTTP/2"
touch stop
wait "$deaf" || fail "the deaf connections: $(tail -n 3 deaf.log)"

# With TLS, a tenth of them: handshakes are work for both sides.
"$BINARY" cert new --out pki 127.0.0.1 localhost >cert.log 2>&1 || fail "wharf cert new: $(cat cert.log)"
export CURL_HOME=$WORK
printf 'cacert = %s\n' "$WORK/pki/ca.crt" >.curlrc
SERVER_SCHEME=https
tls="  tls:
    certificate: $WORK/pki/domain.crt
    key: $WORK/pki/domain.key"
with "$tls
  limits:
    handshaketimeout: 1s"
is_cut "50 connections that begin no handshake" 0.9 6 "" "$CONNECTIONS" silent "$PORT" 50 15
is_cut "50 handshakes a byte at a time" 0.9 6 "" trickle '\x16\x03\x01\x02\x00|\x01' 50 15
# A busy machine's clients may need more than a second.
with "$tls
  limits:
    idletimeout: 10m"
goes "TLS, before" limits/tls-before
before=$(resident_kib)
idle_begin 1000 pki/ca.crt
after=$(resident_kib)
goes "1000 idle TLS connections" limits/tls-idle
bytes=$(((after - before) * 1024 / 1000))
log "resident memory: $before KiB before, $after KiB with 1000 idle TLS connections: $bytes bytes each"
# The same, the state of TLS, and its buffers of one record (16 KiB) for each direction.
[ "$bytes" -le 98304 ] || fail "an idle TLS connection takes $bytes bytes"
ok "memory is bounded with TLS"
idle_end
same "every TLS connection is alive" 1000 "$(cat alive)"
SERVER_SCHEME=http
rm .curlrc

# A limit on all: who comes later waits until there is room.
with "  limits:
    connections: 20
    idletimeout: 3s"
"$CONNECTIONS" silent "$PORT" 20 20 >silent.json &
silent=$!
CHILD_PIDS+=("$silent")
wait_for 10 held 20 || fail "20 connections are not made"
started=$(date +%s%N)
expect 200 "beyond http.limits.connections a client waits for its turn" GET /v2/
waited=$((($(date +%s%N) - started) / 1000000))
[ "$waited" -ge 1000 ] || fail "it did not wait: $waited ms"
wait "$silent"

# Of one address.
with "  trustedproxies: [127.0.0.9]
  limits:
    connectionsperaddress: 3
    idletimeout: 4s"
"$CONNECTIONS" silent "$PORT" 3 20 >silent.json &
silent=$!
CHILD_PIDS+=("$silent")
wait_for 10 held 3 || fail "3 connections are not made"
expect 000 "the fourth connection of an address is closed" GET /v2/
contains "and the log says why" "$(cat "$SERVER_LOG")" "http.limits.connectionsperaddress"
expect 200 "another address has its own" GET /v2/ --interface 127.0.0.2
wait "$silent"
expect 200 "once the others are gone there is room" GET /v2/

# Fewer descriptors than clients: some are left for files, and for the debug listener.
DEBUG_PORT=$(free_port)
with_descriptors -n 400
with "  debug:
    addr: 127.0.0.1:$DEBUG_PORT
  limits:
    idletimeout: 3s"
contains "a limit on descriptors that is too low is reported" "$(cat "$SERVER_LOG")" "too few file descriptors for http.limits.connections"
head -c 160000 /dev/urandom >slow
"$CONNECTIONS" honest "$PORT" "$(upload_path limits/few slow)" slow 32000 >honest.few &
honest=$!
CHILD_PIDS+=("$honest")
sleep 1
"$CONNECTIONS" silent "$PORT" 600 60 >silent.json &
silent=$!
CHILD_PIDS+=("$silent")
sleep 1
open=$(descriptors)
[ "$open" -le 300 ] || fail "$open of 400 descriptors are open"
ok "600 connections leave room: $open of 400 descriptors are open"
for _ in 1 2 3; do curl -sf --max-time 2 "http://127.0.0.1:$DEBUG_PORT/debug/health" >/dev/null || fail "no answer of the debug listener"; done
ok "the debug listener answers"
wait "$honest" || fail "a push beside them: $(cat honest.few)"
same "a push that had begun succeeds" 201 "$(cat honest.few)"
wait "$silent" || fail "600 connections: $(cat silent.json)"
same "and all of them are served in turn" 0 "$(jq .left silent.json)"
pulls_blob "what was pushed" limits/few "$(digest_of slow)" slow
if grep -q 'could not accept a connection' "$SERVER_LOG"; then fail "the descriptors ran out"; fi
server_alive "after too many clients"
WHARF_BIN=$BINARY
