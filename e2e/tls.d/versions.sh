# What is spoken: HTTP/2 and 1.1 by ALPN, versions and cipher suites of TLS, and plain HTTP.
# shellcheck shell=bash
certificate=$WORK/served/domain.crt key=$WORK/served/domain.key
# At the level of warnings it says only one thing about handshakes in ten seconds.
SERVER_ENV=("REGISTRY_LOG_LEVEL=debug")
with_tls "$certificate" "$key"
contains "the certificate names the host" "$(openssl x509 -noout -ext subjectAltName -in "$certificate")" "DNS:localhost"
same "HTTP/2" "2 200" "$(curl -s --http2 -o /dev/null -w '%{http_version} %{http_code}' "$URL/v2/")"
same "HTTP/1.1" "1.1 200" "$(curl -s --http1.1 -o /dev/null -w '%{http_version} %{http_code}' "$URL/v2/")"
same "by name" "200" "$(curl -s -o /dev/null -w '%{http_code}' "https://localhost:$PORT/v2/" --resolve "localhost:$PORT:127.0.0.1")"
refused "a client that does not trust the authority" curl -q -sS "$URL/v2/"
contains "and its reason" "$(cat refused.log)" "certificate"
contains "the log says what to do" "$(cat "$SERVER_LOG")" "/etc/docker/certs.d/HOST:PORT/ca.crt"
upload_begin tls/app
contains "a location says https" "$UPLOAD" "https://127.0.0.1:$PORT/v2/tls/app/blobs/uploads/"

# spoken WHAT TEXT S_CLIENT-ARGUMENTS...: the connection is made, and s_client prints TEXT about it.
spoken() {
    local what=$1 text=$2
    shift 2
    openssl s_client -connect "$REG" -CAfile "$WORK/served/ca.crt" -verify_return_error "$@" </dev/null >spoken.log 2>&1 ||
        fail "$what: $(tail -n 5 spoken.log)"
    contains "$what" "$(cat spoken.log)" "$text"
}
# not_spoken WHAT S_CLIENT-ARGUMENTS...
not_spoken() {
    local what=$1
    shift
    refused "$what" openssl s_client -connect "$REG" "$@" </dev/null
}
# The lowest security level of openssl, or it would not even offer what is old.
old=(-cipher 'ALL:@SECLEVEL=0')
spoken "ALPN takes h2" "ALPN protocol: h2" -alpn h2,http/1.1
spoken "ALPN takes http/1.1" "ALPN protocol: http/1.1" -alpn http/1.1
not_spoken "ALPN with nothing that is known" -alpn spdy/3
spoken "TLS 1.3" "TLSv1.3" -tls1_3
spoken "TLS 1.2" "TLSv1.2" -tls1_2
not_spoken "TLS 1.1" -tls1_1 "${old[@]}"
not_spoken "TLS 1.0" -tls1 "${old[@]}"
for suite in ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES128-GCM-SHA256; do
    spoken "the suite $suite" "$suite" -tls1_2 -cipher "$suite"
done
not_spoken "a suite without forward secrecy" -tls1_2 -cipher 'AES128-SHA:@SECLEVEL=0'

plain=$(curl -q -s --http0.9 -i "http://$REG/v2/")
contains "plain HTTP on this port: 400" "$plain" "400 Bad Request"
contains "with the words of Go's server" "$plain" "Client sent an HTTP request to an HTTPS server."
contains "and a line in the log" "$(cat "$SERVER_LOG")" "HTTP request to this HTTPS server"
# Garbage ends nothing but its own connection.
head -c 3000 /dev/urandom | timeout 5 bash -c "cat >/dev/tcp/127.0.0.1/$PORT" 2>/dev/null || true
server_alive "after garbage instead of a handshake"
SERVER_ENV=()

with_tls "$certificate" "$key" "    minimumtls: tls1.3
    ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
spoken "minimumtls 1.3: TLS 1.3" "TLSv1.3" -tls1_3
not_spoken "minimumtls 1.3: not 1.2" -tls1_2

with_tls "$certificate" "$key" "    minimumtls: tls1.0
    ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]"
spoken "the configured cipher suite" "ECDHE-ECDSA-AES128-GCM-SHA256" -tls1_2
not_spoken "another cipher suite" -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384
spoken "TLS 1.3 has its own" "TLSv1.3" -tls1_3
not_spoken "minimumtls 1.0 is 1.2" -tls1_1 "${old[@]}"
contains "with a warning" "$(grep level=warn "$SERVER_LOG")" "minimumtls"

with_tls "$certificate" "$key" "  http2:
    disabled: true"
same "HTTP/2 turned off" "1.1 200" "$(curl -s --http2 -o /dev/null -w '%{http_version} %{http_code}' "$URL/v2/")"
spoken "ALPN takes http/1.1 then" "ALPN protocol: http/1.1" -alpn h2,http/1.1

# The certificate of the guides: self-signed, RSA, by openssl.
trust "$CERTS/rsa.crt"
with_tls "$CERTS/rsa.crt" "$CERTS/rsa.key"
expect 200 "a self-signed RSA certificate" GET /v2/
for suite in ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 ECDHE-RSA-AES128-GCM-SHA256; do
    openssl s_client -connect "$REG" -tls1_2 -cipher "$suite" </dev/null >spoken.log 2>&1 || fail "the suite $suite"
done
ok "all three suites of RSA"
trust "$WORK/served/ca.crt"

# A Unix socket behind which TLS is spoken.
server_stop
SERVER_ENV=("REGISTRY_HTTP_NET=unix" "REGISTRY_HTTP_ADDR=$WORK/tls.sock")
write_config "$SERVER_CONFIG" "$VOLUME" 0 "  tls:
    certificate: $certificate
    key: $key"
server_spawn "$BINARY"
by_socket() { curl -s --unix-socket "$WORK/tls.sock" -o /dev/null -w '%{http_version} %{http_code}' https://localhost/v2/; }
socket_answers() { [ "$(by_socket)" = "2 200" ]; }
wait_for 10 socket_answers || fail "no TLS on the Unix socket: $(by_socket) $(tail -n 3 "$SERVER_LOG")"
ok "TLS on a Unix socket"
SERVER_ENV=()
