# The store is gone for a while: answers say so, and no replica must be started again. Then one node of three.
# shellcheck shell=bash
HEALTH='health:
  storagedriver:
    enabled: true
    interval: 1s
    threshold: 2'
layout_init outage
BUSYBOX=$SMALL_IMAGE
image=$(layout_image outage 'before the outage')

replicas_start outage '' "$HEALTH"
push_layout outage "$image" out/app latest
pids=${REPLICA_PIDS[*]}
end_pid "${S3_PIDS[0]}"
manifest=/v2/out/app/manifests/latest
for replica in 0 1 2; do
    at "$replica"
    expect "500|502|503|504" "replica $replica without its store: a manifest" GET "$manifest" -H "Accept: $OCI_MANIFEST"
    jq -e '.errors[0].code' "$RESPONSE_BODY" >/dev/null || fail "no OCI error: $(head -c 300 "$RESPONSE_BODY")"
    wait_for 20 request_is 503 GET /readyz || fail "replica $replica is still ready"
    quietly expect 200 "alive" GET /livez
    expect "500|502|503|504" "an upload" POST /v2/out/app/blobs/uploads/
done
ok "without the store the replicas live and are not ready"
s3_spawn "$WORK/store"
for replica in 0 1 2; do
    at "$replica"
    wait_for 20 request_is 200 GET /readyz || fail "replica $replica is not ready again: $(cat "$RESPONSE_BODY")"
    pulls_manifest "replica $replica serves again" out/app latest "$(layout_path outage "$image")" "$OCI_MANIFEST"
done
for pid in $pids; do kill -0 "$pid" 2>/dev/null || fail "a replica ended when its store was gone"; done
at_front
push_layout outage "$(layout_image outage 'after the outage')" out/app after
ok "and takes pushes, without having been started again"

# Each replica at a node of its own of a cluster that keeps three copies.
if store_is_here garage; then
    start_garage_cluster "$WORK/cluster"
    replicas_start garage '  redirect: {disable: true}' "$HEALTH"
    push_layout outage "$image" three/app latest
    end_pid "${S3_PIDS[2]}"
    for replica in 0 1; do
        at "$replica"
        pulls_layout "replica $replica with a node of three gone" outage "$image" three/app latest
        push_layout outage "$(layout_image outage "by replica $replica")" three/app "by-$replica"
    done
    at 2
    wait_for 20 request_is 503 GET /readyz || fail "the replica of the node that is gone is still ready"
    ok "two nodes of three are enough for reads and writes, and the third one's replica is not ready"
    garage_node_start "$WORK/cluster" 3
    # The nodes find each other again within half a minute.
    wait_for 90 request_is 200 GET /readyz || fail "the third one's replica is not ready again: $(cat "$RESPONSE_BODY")"
    pulls_layout "the third one's replica after the node came back" outage "$image" three/app latest
    quietly expect 200 tags GET /v2/three/app/tags/list
    same "with what was pushed meanwhile" '["by-0","by-1","latest"]' "$(jq -c '.tags | sort' "$RESPONSE_BODY")"
else
    left_out "replicas on three Garage nodes: Garage is not on this machine (E2E_BUILD_GARAGE=1 e2e/install builds it)"
fi
