# Requests for each address or user, and who is believed about the address.
# shellcheck shell=bash
rate() { printf '  ratelimit:\n    requests: %s\n    period: %s\n    burst: %s\n    by: %s' "$@"; }

# One every five seconds, so that eight at once are all sent before the next.
# The server is asked once when it starts; each address below is one that nobody has used.
with "$(rate 2 10s 5 address)
  trustedproxies: [127.0.0.20, 127.1.0.0/16]"
# from ADDRESS [CURL ARGUMENTS...]: the statuses of eight requests at once.
from() {
    local address=$1 all=() i
    shift
    for ((i = 0; i < 8; i++)); do
        request GET /v2/ --interface "$address" "$@"
        all+=("$STATUS")
    done
    printf '%s' "${all[*]}"
}
same "five at once, then no more" "200 200 200 200 200 429 429 429" "$(from 127.0.0.2)"
expect_error 429 TOOMANYREQUESTS "one more" GET /v2/ --interface 127.0.0.2
after=$(header Retry-After)
[[ $after =~ ^[1-9][0-9]*$ ]] || fail "Retry-After is '$after'"
ok "Retry-After is $after"
sleep "$after"
expect 200 "after that time there is one" GET /v2/ --interface 127.0.0.2
expect_error 429 TOOMANYREQUESTS "and one only" GET /v2/ --interface 127.0.0.2
expect 200 "another address has its own" GET /v2/ --interface 127.0.0.3
same "what a client says about its address is not believed" "200 200 200 200 429 429 429 429" \
    "$(from 127.0.0.3 -H 'X-Forwarded-For: 192.0.2.1' -H 'Forwarded: for=192.0.2.2' -H 'X-Real-IP: 192.0.2.3')"
forwarded=(-H 'X-Forwarded-For: 192.0.2.10')
same "what a trusted proxy says is" "200 200 200 200 200 429 429 429" "$(from 127.0.0.20 "${forwarded[@]}")"
expect 429 "by every trusted proxy" GET /v2/ --interface 127.1.2.3 "${forwarded[@]}"
expect 200 "another client of the proxy has its own" GET /v2/ --interface 127.0.0.20 -H 'X-Forwarded-For: 192.0.2.11'
expect 429 "what the client had written before the proxy does not count" GET /v2/ --interface 127.0.0.20 \
    -H 'X-Forwarded-For: 192.0.2.99, 192.0.2.10'
expect 429 "nor does a chain of trusted proxies" GET /v2/ --interface 127.0.0.20 -H 'X-Forwarded-For: 192.0.2.10, 127.1.1.1'
expect 200 "Forwarded is read too" GET /v2/ --interface 127.0.0.20 -H 'Forwarded: for="[2001:db8::1]:4711"'
same "the addresses of one IPv6 network have one allowance" "200 200 200 200 429 429 429 429" \
    "$(from 127.0.0.20 -H 'X-Forwarded-For: 2001:db8::2')"
for probe in livez readyz; do
    for ((i = 0; i < 10; i++)); do quietly expect 200 "/$probe" GET "/$probe" --interface 127.0.0.4; done
done
ok "probes are not counted"

# By user: a room with one address for all.
for user in alice bob; do
    printf '%s\n' "password of $user" | "$BINARY" htpasswd add --cost 4 users "$user" >htpasswd.log 2>&1 || fail "wharf htpasswd add: $(cat htpasswd.log)"
done
SERVER_READY_STATUS='401'
with "$(rate 1 1m 5 user)
auth:
  htpasswd:
    realm: e2e
    path: $WORK/users"
same "alice has five" "200 200 200 200 200 429 429 429" "$(from 127.0.0.2 -u "alice:password of alice")"
same "from wherever she comes" "429 429 429 429 429 429 429 429" "$(from 127.0.0.3 -u "alice:password of alice")"
expect_error 429 TOOMANYREQUESTS "she is told so" GET /v2/ -u "alice:password of alice"
[ "$(header Retry-After)" -le 60 ] || fail "Retry-After is '$(header Retry-After)'"
same "bob has his own" "200 200 200 200 200 429 429 429" "$(from 127.0.0.2 -u "bob:password of bob")"
