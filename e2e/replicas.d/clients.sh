# The clients' own parts of this suite, unchanged, against the front: the server that they are given is three.
# shellcheck shell=bash
CLIENT_LIMIT_SECS=300
for client in docker podman skopeo buildah containerd crane oras regctl; do
    if [ ! -x "$E2E_DIR/clients/$client" ] || ! command -v "$client" >/dev/null; then
        left_out "$client with replicas: it is not on this machine"
        continue
    fi
    replicas_start "client-$client"
    code=0
    SERVER_RUNNING="${FRONT_URL##*:} $FRONT_PID $REPLICA_LOG" E2E_NAME=$client \
        timeout --kill-after=10 "$CLIENT_LIMIT_SECS" "$E2E_DIR/clients/$client" </dev/null >"client-$client.log" 2>&1 || code=$?
    case $code in
    0) ok "$client: $(tail -n 1 "client-$client.log" | sed 's/^[^:]*: passed, //')" ;;
    "$NOT_RUN_CODE") left_out "$client with replicas: $(sed -n 's/^NOT RUN: //p' "client-$client.log" | tail -n 1)" ;;
    *) fail "$client with replicas: $(grep -m 1 -a 'FAIL - ' "client-$client.log" || tail -n 3 "client-$client.log")" ;;
    esac
done
