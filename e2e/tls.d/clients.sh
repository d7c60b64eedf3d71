# Client certificates: the four modes against no certificate, a good one, one of a stranger and one
# that has expired, in both versions of TLS.
# shellcheck shell=bash
authority clients
authority strangers
certificate clients ann
certificate strangers mallory
certificate clients late 20200101 20210101
# As guides make them: without extensions, of version 1 (a newer OpenSSL than 3.1 makes version 3 of it);
# and signed by itself, which makes it an authority.
{
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=plain -keyout "$CERTS/plain.key" -out plain.csr &&
        openssl x509 -req -in plain.csr -CA "$CERTS/clients.crt" -CAkey "$CERTS/clients.key" -CAcreateserial -days 9 -out "$CERTS/plain.crt" &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=itself -keyout "$CERTS/itself.key" -out "$CERTS/itself.crt"
} >openssl.log 2>&1 || fail "openssl: $(cat openssl.log)"

# showing WHO CURL-ARGUMENTS...: the status, 000 when the connection is refused.
showing() {
    local who=$1 shown=()
    shift
    [ "$who" = nobody ] || shown=(--cert "$CERTS/$who.crt" --key "$CERTS/$who.key")
    curl -q -s -o /dev/null -w '%{http_code}' --max-time 20 --cacert "$WORK/served/ca.crt" "${shown[@]}" "$@" "$URL/v2/" || true
}

SERVER_ENV=("REGISTRY_LOG_LEVEL=debug")
# In the order nobody, ann, mallory, late.
while read -r mode answers; do
    # What asks whether the server is there shows a certificate too.
    printf 'cert = %s\nkey = %s\ncacert = %s\n' "$CERTS/ann.crt" "$CERTS/ann.key" "$WORK/served/ca.crt" >"$CURL_HOME/.curlrc"
    lines="    clientcas: [$CERTS/clients.crt, $CERTS/itself.crt]"
    [ "$mode" = default ] || lines+=$'\n'"    clientauth: $mode"
    with_tls "$WORK/served/domain.crt" "$WORK/served/domain.key" "$lines"
    for version in 1.2 1.3; do
        got=
        for who in nobody ann mallory late; do
            got+="$(showing "$who" --tlsv1.2 --tls-max "$version") "
        done
        same "$mode, TLS $version: nobody, a good one, a stranger's, an expired one" "$answers" "${got% }"
        got=
        for who in plain itself; do got+="$(showing "$who" --tlsv1.2 --tls-max "$version") "; done
        same "$mode, TLS $version: one without extensions, one that is listed itself" "200 200" "${got% }"
    done
    same "$mode, HTTP/1.1" 200 "$(showing ann --http1.1)"
done <<'MODES'
request-client-cert 200 200 200 200
require-any-client-cert 000 200 200 200
verify-client-cert-if-given 200 200 000 000
require-and-verify-client-cert 000 200 000 000
default 000 200 000 000
MODES
contains "the log names who was checked" "$(grep 'GET' "$SERVER_LOG")" "ann"
SERVER_ENV=()
contains "and why others were refused: they showed none" "$(cat "$SERVER_LOG")" "didn't provide a certificate"
contains "a stranger's" "$(cat "$SERVER_LOG")" "failed to verify the client's certificate against http.tls.clientcas: UnknownIssuer"
contains "or an expired one" "$(cat "$SERVER_LOG")" "failed to verify the client's certificate against http.tls.clientcas: certificate expired"

# No client gets a session to resume, by which one would come back whose certificate has expired since, or
# whose authority was dropped.
for version in tls1_2 tls1_3; do
    { printf 'GET /v2/ HTTP/1.0\r\n\r\n'; sleep 0.3; } |
        openssl s_client -connect "$REG" "-$version" -cert "$CERTS/ann.crt" -key "$CERTS/ann.key" -sess_out session >session.log 2>&1 ||
        fail "a connection by openssl, $version: $(tail -n 3 session.log)"
    if [ -e session ] || grep -q 'session ticket:' session.log; then fail "$version: there is a session to resume: $(cat session.log)"; fi
    ok "$version: there is no session to resume"
done
cp "$CERTS/clients.crt" clients.before
cp "$CERTS/strangers.crt" "$CERTS/clients.crt"
mallory_is_in() { [ "$(showing mallory)" = 200 ]; }
wait_for 10 mallory_is_in || fail "new authorities of clients are not used"
ok "authorities of clients are read again"
same "the ones of before are not let in" 000 "$(showing ann)"
mv clients.before "$CERTS/clients.crt"
