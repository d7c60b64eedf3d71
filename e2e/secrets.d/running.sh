# A running server: every kind of authentication, every form of the log, at the level debug.
# shellcheck shell=bash
WEBHOOK=$E2E_DIR/lib/webhook.py
mkdir -p hook
echo ok >hook/mode
python3 "$WEBHOOK" serve "$WORK/hook" </dev/null >hook/log 2>&1 &
CHILD_PIDS+=("$!")
wait_for 20 test -s hook/port || fail "the webhook does not start: $(cat hook/log)"
HOOK=127.0.0.1:$(cat hook/port)
DEBUG_PORT=$(free_port)
CLOSED_PORT=$(free_port)

good=$(secret Password)
printf '%s\n' "$good" | "$BINARY" htpasswd add --cost 4 users alice >"$SEEN/htpasswd-add" 2>&1 || fail "htpasswd add: $(cat "$SEEN/htpasswd-add")"
# What the file holds is not to be seen either.
also "$(cut -d: -f2 users)"

TOKENS=$WORK/tokens
mkdir -p "$TOKENS"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tokens -keyout "$TOKENS/rsa.key" -out "$TOKENS/rsa.crt" 2>/dev/null
echo '{"key": "rsa", "kid": "libtrust"}' >"$TOKENS/mode"
mint() { "$E2E_DIR/lib/token_server.py" mint "$TOKENS" "${1:-{\}}" "${2:-{\}}"; }

# running NAME FORM SCHEME AUTH: a server with a secret in every place.
running() {
    local name=$1 form=$2 auth=$4 tls=
    SERVER_SCHEME=$3
    [ "$SERVER_SCHEME" = http ] || tls="  tls:
    certificate: $WORK/pki/domain.crt
    key: $WORK/pki/domain.key"
    server_stop
    SERVER_LOG=$SEEN/log-$name
    SERVER_ENV=("REGISTRY_LOG_LEVEL=debug" "REGISTRY_LOG_FORMATTER=$form" "RUST_BACKTRACE=1"
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$CLOSED_PORT"
        "OTEL_EXPORTER_OTLP_HEADERS=authorization=$(secret OtelHeader)" "OTEL_BSP_SCHEDULE_DELAY=200")
    server_start wharf "  secret: $(secret HttpSecret)
  h2c:
    enabled: true
  debug:
    addr: 127.0.0.1:$DEBUG_PORT
    prometheus: {enabled: true}
  limits:
    headertimeout: 1s
    bodytimeout: 1s
$tls
notifications:
  events: {includereferences: true}
  endpoints:
    - name: takes
      url: http://$(secret HookUser):$(secret HookPassword)@$HOOK/events?token=$(secret HookQuery)
      headers: {X-Token: [$(secret HookHeader)]}
      secret: $(secret HookSigning)
      timeout: 500ms
      threshold: 2
      backoff: 100ms
    - name: closed
      url: http://u:$(secret ClosedPassword)@127.0.0.1:$CLOSED_PORT/?token=$(secret ClosedQuery)
      headers: {Authorization: [Bearer $(secret ClosedHeader)]}
      timeout: 500ms
      threshold: 2
      backoff: 100ms
    - name: no tls
      url: https://u:$(secret NoTlsPassword)@$HOOK/?token=$(secret NoTlsQuery)
      timeout: 500ms
      threshold: 2
      backoff: 100ms
    - name: no host
      url: http://u:$(secret NoHostPassword)@no-such-host.invalid/?token=$(secret NoHostQuery)
      timeout: 500ms
      threshold: 2
      backoff: 100ms
$auth
${5:-}"
}

# asks METHOD PATH [CURL ARGUMENTS...]: whatever the answer, it is kept with its headers.
answers=0
declare -A STATUSES=()
asks() {
    request "$@"
    answers=$((answers + 1))
    STATUSES[$STATUS]=$((${STATUSES[$STATUS]:-0} + 1))
    # What is pushed and pulled below is no secret.
    cat "$RESPONSE_HEADERS" "$RESPONSE_BODY" >>"$SEEN/answers" 2>/dev/null || true
}

head -c 3000 /dev/urandom | base64 >blob
digest=$(digest_of blob)
zero=sha256:$(printf '%064d' 0)
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[]}' \
    "$OCI_MANIFEST" "$digest" "$(stat -c %s blob)" >manifest
put=(-H "Content-Type: $OCI_MANIFEST" --data-binary @manifest)

# traffic CURL-ARGUMENTS...: as somebody, requests of every kind that go well and that do not.
traffic() {
    asks GET /v2/ "$@"
    asks POST "/v2/secrets/app/blobs/uploads/?digest=$digest" "$@" --data-binary @blob
    asks POST "/v2/secrets/app/blobs/uploads/?digest=$zero" "$@" --data-binary @blob
    asks POST "/v2/secrets/app/blobs/uploads/" "$@"
    local location
    location=$(header Location)
    if [ -n "$location" ]; then
        location=$(absolute "$location")
        asks PATCH "$location" "$@" --data-binary @blob
        asks PATCH "$location" "$@" -H 'Content-Range: 900000-900010' --data-binary hello-world
        asks PUT "$(with_query "$location" "digest=$zero")" "$@"
        asks PUT "$(with_query "$location" digest=nonsense)" "$@"
        asks PATCH "${location%%_state=*}_state=nonsense" "$@" --data-binary @blob
        asks DELETE "$location" "$@"
    fi
    asks PUT /v2/secrets/app/manifests/one "$@" "${put[@]}"
    asks PUT /v2/secrets/app/manifests/bad "$@" -H "Content-Type: $OCI_MANIFEST" --data-binary '{"nonsense"'
    asks POST "/v2/secrets/mounted/blobs/uploads/?mount=$digest&from=secrets/app" "$@"
    asks GET /v2/secrets/app/manifests/one "$@" --http1.1
    asks GET /v2/secrets/app/manifests/none "$@"
    asks GET "/v2/secrets/app/blobs/$digest" "$@"
    asks GET "/v2/secrets/app/blobs/$zero" "$@"
    asks GET /v2/Not/A/Name/tags/list "$@"
    asks GET /v2/secrets/app/tags/list "$@"
    asks GET /v2/_catalog "$@"
    asks GET "/v2/secrets/app/referrers/$digest" "$@"
    asks DELETE "/v2/secrets/app/manifests/$(digest_of manifest)" "$@"
    asks DELETE "/v2/secrets/app/blobs/$digest" "$@"
    asks TRACE /v2/ "$@"
    [ "$SERVER_SCHEME" != http ] || asks GET /v2/ "$@" --http2-prior-knowledge
}

# strangers: credentials that are wrong, or no credentials, or in places where there should be none.
strangers() {
    local value n=0
    basic alice "$(secret WrongPassword)"
    local wrong=$BASIC
    basic "$(secret UserAsPassword)" "$(secret NobodysPassword)"
    for value in "Basic $wrong" "basic $BASIC" "Basic $(secret NoBase64)" "Basic $wrong$(secret Trailing)" "$(secret NoScheme)" \
        "Bearer $(secret NoToken)" "Bearer $(secret Header).$(secret Claims).$(secret Signature)" "Digest username=\"u\", response=\"$(secret Digest)\"" \
        "Bearer $(head -c 70000 /dev/zero | tr '\0' x)$(secret Long)"; do
        n=$((n + 1))
        printf 'Authorization: %s\n' "$value" >authorization
        for path in /v2/ /v2/secrets/app/tags/list "/v2/secrets/app/blobs/$digest"; do asks GET "$path" -H @authorization; done
        asks PUT /v2/secrets/app/manifests/one -H @authorization "${put[@]}"
        [ "$SERVER_SCHEME" != http ] || asks GET /v2/ -H @authorization --http2-prior-knowledge
    done
    # Two of them, and other headers that hold credentials.
    asks GET /v2/ -H "Authorization: Basic $wrong" -H "Authorization: Bearer $(secret Second)"
    asks GET /v2/ -H "Proxy-Authorization: Basic $wrong" -H "Cookie: session=$(secret Cookie)" -H "X-Registry-Auth: $(secret RegistryAuth)" \
        -H "X-Api-Key: $(secret ApiKey)" -H "X-Auth-Token: $(secret AuthToken)"
    asks GET /v2/ -H "X-Large: $(head -c 90000 /dev/zero | tr '\0' x)$(secret LargeHeader)"
    # Where some clients put them, though they belong into the body or a header.
    asks GET "/v2/_token?service=e2e&account=alice&password=$(secret QueryPassword)"
    asks GET "/v2/_token?service=e2e&refresh_token=$(secret QueryRefresh)"
    asks GET "/v2/?access_token=$(secret QueryAccess)" -H "Referer: http://registry.example.com/?password=$(secret RefererQuery)"
    # URLs with a password in them, in places where URLs are looked at.
    asks GET /v2/ -H "Referer: http://u:$(secret Referer)@registry.example.com/" -H "Origin: http://u:$(secret Origin)@registry.example.com"
    asks POST /v2/secrets/app/blobs/uploads/ -H "Host: u:$(secret Host)@registry.example.com"
    asks POST /v2/secrets/app/blobs/uploads/ -H "X-Forwarded-Host: u:$(secret ForwardedHost)@registry.example.com" \
        -H "Forwarded: host=\"u:$(secret Forwarded)@registry.example.com\""
    [ "$SERVER_SCHEME" = http ] || return 0
    raw "GET http://u:$(secret AbsoluteForm)@registry.example.com/v2/ HTTP/1.1\r\nHost: registry.example.com\r\nConnection: close\r\n\r\n"
    raw "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic $(secret HalfHead)"
    raw "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \x01$(secret BadBytes)\r\n\r\n"
    raw "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization $(secret NoColon)\r\n\r\n"
    raw "POST /v2/secrets/app/blobs/uploads/?digest=$zero HTTP/1.1\r\nHost: x\r\nAuthorization: Basic $wrong\r\nContent-Length: 100\r\n\r\nhalf"
}
# raw BYTES: sent as they are; the answer is kept.
raw() { { exec 3<>"/dev/tcp/127.0.0.1/$PORT" && printf '%b' "$1" >&3 && timeout 3 cat <&3 >>"$SEEN/answers"; exec 3>&-; } 2>/dev/null || true; }

# inspected: what operators look at.
inspected() {
    local path
    for path in /debug/health /debug/vars /metrics /debug/nonsense; do asks GET "http://127.0.0.1:$DEBUG_PORT$path"; done
    timeout 20 env -i PATH="$PATH" "${SERVER_ENV[@]}" "$BINARY" config print "$SERVER_CONFIG" >>"$SEEN/print" 2>&1 || fail "config print: $(tail -n 3 "$SEEN/print")"
    tr '\0' ' ' <"/proc/$SERVER_PID/cmdline" >>"$SEEN/print"
}
# hooks_fail: deliveries that go wrong in every way.
hooks_fail() {
    local way
    for way in fail hang garbage ok; do
        echo "$way" >hook/mode
        asks POST "/v2/secrets/hooks-$way/blobs/uploads/?digest=$digest" "$@" --data-binary @blob
        sleep 0.4
    done
}
# the_storage_fails: the volume is gone for a moment.
the_storage_fails() {
    mv "$VOLUME" "$VOLUME.away"
    echo 'no directory' >"$VOLUME"
    traffic "$@"
    rm "$VOLUME"
    mv "$VOLUME.away" "$VOLUME"
}
# all_of_it CURL-ARGUMENTS...: as somebody who is let in.
all_of_it() {
    traffic "$@"
    [ "${STATUSES[201]:-0}" -gt 0 ] || fail "nothing could be pushed: ${!STATUSES[*]}"
    strangers
    hooks_fail "$@"
    the_storage_fails "$@"
    inspected
}

basic alice "$good"
who=(-H "Authorization: Basic $BASIC")
SERVER_READY_STATUS=401
htpasswd="auth:
  htpasswd:
    realm: e2e
    path: $WORK/users"

running htpasswd text http "$htpasswd"
traffic
[ "${STATUSES[201]:-0}" = 0 ] || fail "something could be pushed by nobody"
all_of_it "${who[@]}"
# A user file that is broken holds hashes.
sed "s/^alice:/alice $(secret BadLine)/" users >users.new
mv users.new users
sleep 1.1
asks GET /v2/ "${who[@]}"
printf 'alice:%s\nbob\n%s\n' "$(secret BadHash)" "$(secret BadLine2)" >users
sleep 1.1
asks GET /v2/ "${who[@]}"
printf '%s\n' "$good" >password
rm users
"$BINARY" htpasswd add --cost 4 users alice <password >>"$SEEN/htpasswd-add" 2>&1
also "$(cut -d: -f2 users)"
nothing_seen "htpasswd, log as text"

running token json http "auth:
  token:
    realm: https://auth.example.com/token
    service: e2e registry
    issuer: e2e issuer
    rootcertbundle: $TOKENS/rsa.crt"
scope='[{"type":"repository","name":"secrets/app","actions":["pull","push","delete","*"]}]'
# A token's pieces on their own.
tokens() { local token; for token in "$@"; do also "$token" "${token#*.}" "${token##*.}"; done; }
token=$(mint '{}' "{\"access\":$scope}")
stale=$(mint '{}' "{\"exp\":1,\"access\":$scope}")
foreign=$(mint '{"kid":"UNKN:OWNX"}' "{\"aud\":\"$(secret Audience)\"}")
tokens "$token" "$stale" "$foreign"
STATUSES=()
for bearer in "$stale" "$foreign" "${token%.*}.$(secret Signature)"; do asks GET /v2/secrets/app/tags/list -H "Authorization: Bearer $bearer"; done
all_of_it -H "Authorization: Bearer $token"
nothing_seen "token, log as JSON"

"$BINARY" cert new --out pki 127.0.0.1 localhost >"$SEEN/cert" 2>&1 || fail "cert new: $(cat "$SEEN/cert")"
for key in pki/ca.key pki/domain.key; do
    while read -r line; do also "$line"; done < <(grep -v -e ----- -e '^$' "$key" | awk 'length > 16')
done
export CURL_HOME=$WORK
printf 'cacert = %s\n' "$WORK/pki/ca.crt" >.curlrc
STATUSES=()
running tls logstash https "$htpasswd"
all_of_it "${who[@]}"
kill -HUP "$SERVER_PID"
cp pki/domain.key pki/domain.crt
kill -HUP "$SERVER_PID"
sleep 0.3
nothing_seen "htpasswd behind TLS, log in logstash's form"

STATUSES=()
running silly text http "auth:
  silly:
    realm: e2e
    service: e2e"
all_of_it -H "Authorization: $(secret Silly)"
nothing_seen "silly"

# Health checks that fail turn answers into 503.
SERVER_READY_STATUS=503
running health json http "" "health:
  http:
    - uri: http://$(secret HealthUser):$(secret HealthPassword)@127.0.0.1:$CLOSED_PORT/
      headers: {Authorization: [Bearer $(secret HealthHeader)]}
      interval: 100ms
    - uri: http://u:$(secret Health2)@$HOOK/health
      interval: 100ms
    - uri: https://u:$(secret Health3)@$HOOK/
      interval: 100ms
    - uri: http://u:$(secret Health4)@no-such-host.invalid/
      interval: 100ms"
sleep 1
STATUSES=()
traffic
inspected
[ "${STATUSES[503]:-0}" -gt 5 ] || fail "failing health checks change nothing: ${!STATUSES[*]}"
contains "/debug/health says what failed" "$(curl -s "http://127.0.0.1:$DEBUG_PORT/debug/health")" "127.0.0.1:$CLOSED_PORT"
nothing_seen "health checks that fail"
server_stop

# What was sent to the webhook holds what it is meant to hold, and nothing that clients sent.
contains "the webhook got its header" "$(cat hook/requests)" "$(secret HookHeader)"
jq -r .body hook/requests >"$SEEN/events"
contains "and events" "$(cat "$SEEN/events")" '"secrets/app"'
nothing_seen "the events themselves"
ok "$answers answers looked at"
# The search can find something.
printf 'in the middle %s of a line' "$(secret Planted)" >"$SEEN/planted"
if (nothing_seen planted) >/dev/null 2>&1; then fail "a secret that was planted is not found"; fi
rm "$SEEN/planted"
ok "a secret that was planted is found"
