# Distribution with a password, the injector in front of it, a second one on another host that is a
# store for redirects, and the words for all of that.
# shellcheck shell=bash
UPSTREAM_USER=mirror UPSTREAM_PASSWORD=s3cret-of-the-mirror
mkdir as-mirror
printf 'user = "%s:%s"\n' "$UPSTREAM_USER" "$UPSTREAM_PASSWORD" >as-mirror/.curlrc
printf '%s\n' "$UPSTREAM_PASSWORD" | "$BINARY" htpasswd add --cost 4 upstream.users "$UPSTREAM_USER" >htpasswd.log 2>&1 ||
    fail "wharf htpasswd add: $(cat htpasswd.log)"

# upstream_start: on the same port as before. What server_start sets stays as it was.
upstream_start() {
    local SERVER_PID='' SERVER_CONFIG=$WORK/upstream.yml SERVER_LOG=$WORK/upstream.log VOLUME=$WORK/upstream
    local SERVER_ENV=() SERVER_READY_STATUS=401 SERVER_PORT=${UPSTREAM_PORT:-} PORT REG URL
    server_start distribution "auth:
  htpasswd:
    realm: upstream
    path: $WORK/upstream.users"
    UPSTREAM_PID=$SERVER_PID UPSTREAM_PORT=$PORT UPSTREAM_URL=$URL
}
upstream_stop() { end_pid "$UPSTREAM_PID"; }
# upstream_push LAYOUT DIGEST REPOSITORY REFERENCE
upstream_push() {
    local URL=$UPSTREAM_URL
    local -x CURL_HOME=$WORK/as-mirror
    push_layout "$@"
}
# upstream_blob REPOSITORY FILE
upstream_blob() {
    local URL=$UPSTREAM_URL
    local -x CURL_HOME=$WORK/as-mirror
    push_blob "$@"
}

INJECTOR=$E2E_DIR/mirror.d/injector.py
ASKED=$WORK/asked.jsonl
ELSEWHERE_ASKED=$WORK/elsewhere.jsonl
# injector_start ADDRESS LOG [USER:PASSWORD]: sets INJECTOR_PORT.
injector_start() {
    INJECTOR_PORT=$(free_port)
    : >"$2"
    python3 "$INJECTOR" "$1" "$INJECTOR_PORT" "$UPSTREAM_PORT" "$2" "${@:3}" </dev/null >>"$WORK/injector.log" 2>&1 &
    CHILD_PIDS+=("$!")
    wait_for 10 request_is 204 PUT "http://$1:$INJECTOR_PORT/rules" -d '[]' || fail "the injector does not start: $(cat "$WORK/injector.log")"
}
upstream_start
injector_start 127.0.0.2 "$ELSEWHERE_ASKED" "$UPSTREAM_USER:$UPSTREAM_PASSWORD"
ELSEWHERE=http://127.0.0.2:$INJECTOR_PORT
injector_start 127.0.0.1 "$ASKED"
FRONT=http://127.0.0.1:$INJECTOR_PORT

# rules [RULE...]: in the place of all that there are; jq's way of writing objects. Forgets what was asked, too.
rules() {
    local IFS=,
    jq -cn "[$*]" >rules.json || fail "no rules: $*"
    quietly expect 204 "rules for the injector" PUT "$FRONT/rules" --data-binary @rules.json
    : >"$ASKED"
    : >"$ELSEWHERE_ASKED"
}
# asked JQ-CONDITION: how many of the requests that reached the upstream's front are so.
asked() { jq -s "[.[] | select($1)] | length" "$ASKED"; }
# asked_blob DIGEST METHOD: those with a good login.
asked_blob() { asked ".method == \"$2\" and (.path | endswith(\"/blobs/$1\")) and .authorization != null"; }

# mirror_start NAME [LINES]: a wharf with a cache of its own, unless one of that name is there, in front of
# the injector; LINES are more of that upstream.
mirror_start() {
    server_stop
    VOLUME=$WORK/cache-$1
    SERVER_LOG=$WORK/mirror-$1.log
    server_start wharf "proxy:
  local: [team/**, up/ours]
  upstreams:
    - prefix: up
      url: $FRONT
      ns: [up.example]
      username: $UPSTREAM_USER
      password: $UPSTREAM_PASSWORD
${2:-}"
}

# figure METRIC: what the mirror's metrics on DEBUG_PORT say of it.
figure() { curl -s --noproxy '*' "http://127.0.0.1:$DEBUG_PORT/metrics" | awk -v s="$1" '$1 == s { print $2 }'; }
nothing_is_fetched() { [ "$(figure wharf_mirror_fetches_in_flight)" = 0 ]; }

# stored DIGEST: whether the mirror has the data of a blob.
stored() { local hex=${1#sha256:}; [ -e "$VOLUME/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data" ]; }
# linked REPOSITORY DIGEST: whether the mirror has the blob in the repository.
linked() { [ -e "$VOLUME/docker/registry/v2/repositories/$1/_layers/sha256/${2#sha256:}/link" ]; }
# is_cached WHAT REPOSITORY DIGEST, and the opposite.
is_cached() { wait_for 10 linked "$2" "$3" && stored "$3" || fail "$1: $3 is not kept"; ok "$1"; }
is_not_cached() { if linked "$2" "$3" || stored "$3"; then fail "$1: $3 is kept"; fi; ok "$1"; }
# broken WHAT CURL-EXIT-CODES REPOSITORY DIGEST: the transfer does not look complete.
broken() {
    local code=0
    curl -s --max-time 60 -o "$RESPONSE_BODY" "$URL/v2/$3/blobs/$4" || code=$?
    [[ "|$2|" == *"|$code|"* ]] || fail "$1: curl's exit code is $code, and not $2"
    ok "$1 (curl $code)"
}
# random_blob BYTES: sets BLOB and BLOB_FILE; it is in images/app at the upstream.
BLOBS=0
random_blob() {
    BLOBS=$((BLOBS + 1))
    BLOB_FILE=$WORK/blob-$BLOBS
    head -c "$1" /dev/urandom >"$BLOB_FILE"
    BLOB=$(digest_of "$BLOB_FILE")
    upstream_blob images/app "$BLOB_FILE"
}
MIB=1048576

layout_init src
IMAGE=$(layout_image src 'from upstream')
upstream_push src "$IMAGE" images/app one
upstream_push src "$(layout_index src "$IMAGE" "$HOST_ARCH")" images/app index
INDEX=$(digest_of "$(find src/blobs/sha256 -type f -exec grep -l "$OCI_INDEX" {} +)")
