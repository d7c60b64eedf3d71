# Certificates and keys that can't be used: the start ends with 1 and a message that says which file it
# is and what is wrong, and never with a piece of a key.
# shellcheck shell=bash
authority ours
certificate ours one
certificate ours two
certificate ours expired 20200101 20210101
openssl pkey -aes128 -passout pass:e2e -in "$CERTS/one.key" -out "$CERTS/encrypted.key"
# An RSA certificate, because a half of it still begins like one.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rsa -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
    -keyout "$CERTS/rsa.key" -out "$CERTS/rsa.crt" 2>openssl.log || fail "openssl: $(cat openssl.log)"
head -c 600 "$CERTS/rsa.crt" >"$CERTS/half.crt"
head -c 600 "$CERTS/rsa.key" >"$CERTS/half.key"
: >"$CERTS/empty.crt"

# does_not_start WHAT PARTS-OF-THE-MESSAGE LINES [COMMAND...]: parts have | between them, COMMAND runs it.
does_not_start() {
    local what=$1 parts=$2 code=0 output part line
    write_config "$SERVER_CONFIG" "$VOLUME" 0 "  tls:
$3"
    # If it serves all the same, this is 124.
    timeout 20 env -i PATH="$PATH" "${@:4}" "$BINARY" serve "$SERVER_CONFIG" </dev/null >refusal 2>&1 || code=$?
    output=$(cat refusal)
    [ "$code" = 1 ] || fail "$what: the exit code is $code, and should be 1: $output"
    IFS='|' read -ra parts <<<"$parts"
    for part in "${parts[@]}"; do
        [[ $output == *"$part"* ]] || fail "$what: no '$part' in: $output"
    done
    [ "$(grep -o 'os error' refusal | wc -l)" -le 1 ] || fail "$what: the reason is said twice: $output"
    while read -r line; do
        if [ ${#line} -ge 20 ] && grep -qF -- "$line" refusal; then fail "$what: a piece of a key is in the output"; fi
    done < <(cat "$CERTS"/*.key | grep -v -e ----- -e '^$')
    ok "$what: $(tail -n 1 refusal | sed "s,$WORK/,,g" | cut -c1-150)"
}
pair() { printf '    certificate: %s\n    key: %s\n' "$CERTS/$1" "$CERTS/$2"; }

does_not_start "no such certificate" "certificate $CERTS/no.crt" "$(pair no.crt one.key)"
does_not_start "no such key" "key $CERTS/no.key" "$(pair one.crt no.key)"
does_not_start "a certificate without a key in the configuration" "http.tls.key" "    certificate: $CERTS/one.crt"
does_not_start "a key without a certificate in the configuration" "http.tls.certificate" "    key: $CERTS/one.key"
does_not_start "the key of another certificate" "$CERTS/two.key|$CERTS/one.crt|does not belong" "$(pair one.crt two.key)"
does_not_start "certificate and key swapped" "$CERTS/one.key|swapped" "$(pair one.key one.crt)"
does_not_start "half a certificate" "$CERTS/half.crt|half written" "$(pair half.crt rsa.key)"
does_not_start "half a key" "$CERTS/half.key|half written" "$(pair rsa.crt half.key)"
does_not_start "an empty certificate" "$CERTS/empty.crt|empty" "$(pair empty.crt one.key)"
does_not_start "a key with a password" "$CERTS/encrypted.key|password" "$(pair one.crt encrypted.key)"
does_not_start "a directory" "certificate $CERTS" "$(pair . one.key)"
does_not_start "a cipher suite that nobody knows" "TLS_RSA_WITH_NONSENSE|known are|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" \
    "$(pair one.crt one.key)
    ciphersuites: [TLS_RSA_WITH_NONSENSE]"
does_not_start "a version of TLS that nobody knows" "http.tls.minimumtls|tls1.2" "$(pair one.crt one.key)
    minimumtls: tls9"
does_not_start "a mode for clients that nobody knows" "http.tls.clientauth|require-and-verify-client-cert" "$(pair one.crt one.key)
    clientcas: [$CERTS/ours.crt]
    clientauth: maybe"
does_not_start "an authority of clients that is a key" "no certificate in $CERTS/one.key" "$(pair one.crt one.key)
    clientcas: [$CERTS/one.key]"
does_not_start "an authority of clients that is not there" "client CA $CERTS/no.crt" "$(pair one.crt one.key)
    clientcas: [$CERTS/ours.crt, $CERTS/no.crt]"
does_not_start "a certificate and Let's Encrypt" "cannot specify both certificate and Let's Encrypt" "$(pair one.crt one.key)
    letsencrypt:
      cachefile: $WORK/acme
      hosts: [registry.example.com]"
# Somebody who is not root meets a key of root's.
chmod 711 "$WORK"
cp "$CERTS/one.key" "$WORK/private.key"
chmod 600 "$WORK/private.key"
if [ "$(id -u)" = 0 ]; then
    mkdir -p others-volume && chown 65534:65534 others-volume
    does_not_start "a key that may not be read" "key $WORK/private.key|denied" \
        "    certificate: $CERTS/one.crt
    key: $WORK/private.key" \
        setpriv --reuid=65534 --regid=65534 --clear-groups
else
    left_out "a key that may not be read: only root can become somebody else"
fi

# Expired is served, as Distribution does it, and said so: clients decide.
trust "$CERTS/ours.crt"
SERVER_SCHEME=https
printf 'insecure\n' >>"$CURL_HOME/.curlrc"
with_tls "$CERTS/expired.crt" "$CERTS/expired.key"
same "an expired certificate is served" "$(serial_of "$CERTS/expired.crt")" "$(served_serial)"
contains "and the log says so" "$(grep level=error "$SERVER_LOG")" "$CERTS/expired.crt"
contains "with the time" "$(grep level=error "$SERVER_LOG")" "expired at 2021-01-01"
same "curl refuses it" 60 "$(code=0; curl -q -s --cacert "$CERTS/ours.crt" "$URL/v2/" || code=$?; printf '%s' "$code")"
trust "$WORK/served/ca.crt"
