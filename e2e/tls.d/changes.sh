# The certificate changes while a thousand pushes are in flight, connections ask without pause and new
# ones come: by plain overwriting, the way Kubernetes swaps its symlinks, and with SIGHUP.
# shellcheck shell=bash
PUSHES=1000
ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" -gt $((PUSHES * 2)) ] || not_run "$PUSHES connections need more than $(ulimit -n) file descriptors"

# The files as Kubernetes mounts a secret: links to a directory that a link names.
mounted=$WORK/mounted
mkdir -p "$mounted/..first"
cp served/domain.crt served/domain.key "$mounted/..first/"
ln -s ..first "$mounted/..data"
ln -s ..data/domain.crt "$mounted/domain.crt"
ln -s ..data/domain.key "$mounted/domain.key"
with_tls "$mounted/domain.crt" "$mounted/domain.key" "    minimumtls: tls1.2
  draintimeout: 20s"

rm -f ready stop
"$E2E_DIR/lib/tls_load.py" "$PORT" served/ca.crt "$WORK" tls/load "$PUSHES" >load.json 2>load.log &
load=$!
CHILD_PIDS+=("$load")
wait_for 90 test -e ready || fail "the pushes don't get under way: $(tail -n 3 load.log)"
ok "$PUSHES pushes are in flight"

shown_is() { [ "$(served_serial -servername localhost)" = "$1" ]; }
# shown_soon WHAT [SECONDS]: new connections get the certificate that was made last.
shown_soon() {
    wait_for "${2:-10}" shown_is "$(serial_of served/domain.crt)" || fail "$1: new connections don't get the new certificate: $(tail -n 3 "$SERVER_LOG")"
    ok "$1: new connections get the new certificate"
}
shown_soon "before any change"

# Every one of these is a renewal by the same authority.
new_certificate served
cp served/domain.crt "$mounted/domain.crt"
# In between the two files do not fit together, and that is looked at too.
sleep 2.5
cp served/domain.key "$mounted/domain.key"
shown_soon "overwritten in place"
contains "files that did not fit together were not used" "$(cat "$SERVER_LOG")" "changed certificate files are not used"

new_certificate served
mkdir "$mounted/..second"
cp served/domain.crt served/domain.key "$mounted/..second/"
ln -s ..second "$mounted/..data_tmp"
mv -T "$mounted/..data_tmp" "$mounted/..data"
rm -r "$mounted/..first"
shown_soon "swapped like a secret of Kubernetes"

# SIGHUP is followed at once, while the files are looked at every two seconds only: so there is one look,
# a moment after the signal, in more rounds than chance would get through. One may be late on a busy
# machine.
rounds=8 at_once=0
for _ in $(seq "$rounds"); do
    new_certificate served
    cp served/domain.key served/domain.crt "$mounted/..second/"
    kill -HUP "$SERVER_PID"
    sleep 0.3
    if shown_is "$(serial_of served/domain.crt)"; then at_once=$((at_once + 1)); fi
done
[ "$at_once" -ge $((rounds - 1)) ] || fail "SIGHUP: in $at_once of $rounds rounds the new certificate was there at once"
ok "SIGHUP: in $at_once of $rounds rounds the new certificate was there at once"
shown_soon "and in the last one"

# What can't be used is not used. Each time the log says so first: until then nobody has looked.
good=$(serial_of served/domain.crt)
complaints() { grep -c "changed certificate files are not used" "$SERVER_LOG" || true; }
complained_again() { [ "$(complaints)" -gt "$before" ]; }
# not_used WHAT: after SIGHUP there is a new complaint, and the certificate of before is served.
not_used() {
    before=$(complaints)
    kill -HUP "$SERVER_PID"
    wait_for 5 complained_again || fail "$1: no complaint: $(tail -n 3 "$SERVER_LOG")"
    same "$1: the one before is served" "$good" "$(served_serial)"
}
: >"$SERVER_LOG"
head -c 300 served/domain.crt >"$mounted/..second/domain.crt"
not_used "half a certificate"
contains "half a certificate: the log names the file" "$(cat "$SERVER_LOG")" "$mounted/domain.crt"
cp "$CERTS/expired.crt" "$mounted/..second/domain.crt"
not_used "a certificate of another key"
contains "a certificate of another key: the log says so" "$(cat "$SERVER_LOG")" "does not belong to the certificate"
rm "$mounted/..second/domain.crt"
not_used "no file"
contains "no file: the log says so" "$(cat "$SERVER_LOG")" "No such file"
new_certificate served
cp served/domain.key served/domain.crt "$mounted/..second/"
shown_soon "mended"

touch stop
wait "$load" || fail "the load broke off: $(tail -n 5 load.log)"
log "the load: $(cat load.json)"
same "no request failed" '[]' "$(jq -c .failures load.json)"
same "every push came through" "$PUSHES" "$(jq .pushes load.json)"
same "every kept connection was the same to the end, with the certificate of its beginning" '10 1' \
    "$(jq -r '"\(.kept_connections) \(.kept_certificates)"' load.json)"
# The first, two that were renewed, one of each round, and the last.
same "clients saw each of the certificates" $((3 + rounds + 1)) "$(jq .certificates load.json)"
[ "$(jq '.kept + .anew' load.json)" -gt 100 ] || fail "hardly any request was made"
ok "beside $(jq '.kept' load.json) requests on kept connections, $(jq .anew load.json) on new ones"
