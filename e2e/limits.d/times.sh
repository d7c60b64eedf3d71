# Times: what is slow on purpose is cut, what is slow and honest is not.
# shellcheck shell=bash
with "  h2c:
    enabled: true
  limits:
    headertimeout: 1s
    idletimeout: 2s
    bodytimeout: 2s
    writetimeout: 1s"
head -c 160000 /dev/urandom >slow
head -c 400000 /dev/urandom >slower
head -c 12000000 /dev/urandom >large
push_blob limits/app large

# is_cut WHAT SECS-AT-LEAST SECS-AT-MOST ANSWER COMMAND...: all connections were ended in this time. A busy
# machine is given some seconds; what is not cut at all would still be there.
is_cut() {
    local what=$1 least=$2 most=$3 answer=$4
    shift 4
    "$@" >cut.json || fail "$what: $(cat cut.json)"
    jq -e --argjson least "$least" --argjson most "$most" --arg answer "$answer" \
        '.left == 0 and .first >= $least and .last <= $most and all(.answers[]; startswith($answer))' cut.json >/dev/null ||
        fail "$what: $(cat cut.json)"
    ok "$what: after $(jq -r '"\(.first) to \(.last)"' cut.json) s, answer '$(jq -r '.answers | join(", ")' cut.json)'"
}
trickle() { printf '%b' "$1" | "$CONNECTIONS" trickle "$PORT" "${@:2}"; }

# At the same time as the attacks below, honest clients that take several times as long as each limit.
mkdir -p honest
declare -A jobs=()
# honestly NAME COMMAND...: in the background; what it prints is in honest/NAME.
honestly() {
    "${@:2}" >"honest/$1" 2>"honest/$1.trouble" &
    jobs[$1]=$!
}
slowly() { curl -sS -o /dev/null -w '%{http_code}' --limit-rate 40k --max-time 60 "$@"; }
honestly even "$CONNECTIONS" honest "$PORT" "$(upload_path limits/slow slow)" slow 16000
for version in http1.1 http2-prior-knowledge; do
    honestly "$version" slowly "--$version" -X POST -H 'Content-Type: application/octet-stream' --data-binary @slower \
        "$URL$(upload_path "limits/$version" slower)"
done
upload_begin limits/chunked
honestly chunked slowly -X PATCH -H 'Content-Type: application/octet-stream' \
    -H 'Transfer-Encoding: chunked' -T slower "$UPLOAD"
# At this rate it takes longer than the limit until the system says that there is room again.
honestly pull "$CONNECTIONS" honest-pull "$PORT" "/v2/limits/app/blobs/$(digest_of large)" pulled 600000

head='POST /v2/limits/bad/blobs/uploads/?digest=sha256:0000000000000000000000000000000000000000000000000000000000000000 HTTP/1.1\r\nHost: e2e\r\nContent-Length: 1000000\r\n\r\n'
is_cut "50 heads a byte at a time" 0.9 6 "" trickle 'GET /v2/ HTTP/1.1\r\nHost: e2e\r\n|X-Slow: a\r\n' 50 15
is_cut "50 heads that begin with nothing but empty lines" 0.9 6 "" trickle '\r\n|\r\n' 50 15
is_cut "50 connections without a word" 0.9 8 "" "$CONNECTIONS" silent "$PORT" 50 15
is_cut "50 bodies a byte at a time" 1.9 9 "HTTP/1.1 408" trickle "$head|abcdefgh" 50 15
is_cut "50 bodies in chunks of a byte" 1.9 9 "HTTP/1.1 408" \
    trickle 'POST /v2/limits/bad/blobs/uploads/?digest=sha256:0000000000000000000000000000000000000000000000000000000000000000 HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n|1\r\nx\r\n' 5 15
is_cut "50 manifests a byte at a time" 1.9 9 "HTTP/1.1 408" \
    trickle 'PUT /v2/limits/bad/manifests/slow HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 100000\r\n\r\n|{  ' 50 15
"$CONNECTIONS" deaf "$PORT" "/v2/limits/app/blobs/$(digest_of large)" 4 >deaf.json
jq -e '.bytes < .promised' deaf.json >/dev/null || fail "a client that reads nothing for 4 s got everything: $(cat deaf.json)"
ok "a client that does not read is cut ($(jq -r '"\(.bytes) of \(.promised) bytes"' deaf.json))"
# The connection is alive, the socket takes everything, and there is just no room for the answers.
stalled() { is_cut "$1" 0.9 9 "" "$CONNECTIONS" http2-stalled "$PORT" "$2" 20 30; }
stalled "20 requests over HTTP/2 with no room for their answers" "/v2/limits/app/blobs/$(digest_of large)"
stalled "20 of them with a small answer" /v2/limits/app/tags/list

cut=()
for name in "${!jobs[@]}"; do
    code=0
    wait "${jobs[$name]}" || code=$?
    [ "$code" -eq 0 ] || cut+=("$name: exit code $code, answer '$(cat "honest/$name")', $(cat "honest/$name.trouble")")
done
[ "${#cut[@]}" -eq 0 ] || fail "slow honest clients were cut: $(printf '%s; ' "${cut[@]}")"
same "an even push of 16 kB/s" 201 "$(cat honest/even)"
same "a push over HTTP/1.1 at 40 kB/s" 201 "$(cat honest/http1.1)"
same "a push over HTTP/2 at 40 kB/s" 201 "$(cat honest/http2-prior-knowledge)"
same "a push in chunks at 40 kB/s" 202 "$(cat honest/chunked)"
same "a pull at 600 kB/s" 200 "$(cat honest/pull)"
same_file "and is whole" large pulled
pulls_blob "what was pushed slowly" limits/slow "$(digest_of slow)" slow
server_alive "after the slow ones"
