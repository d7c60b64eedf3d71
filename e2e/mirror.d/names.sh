# Which repository is meant, who may push, what is counted.
# shellcheck shell=bash
mirror_start names "      deny: [private/**]"
# As containerd asks.
expect 200 "a namespace that is mirrored" GET "/v2/images/app/manifests/one?ns=up.example" "${accept[@]}"
same "is named in the answer" up.example "$(header OCI-Namespace)"
same_file "which has the upstream's image" "$(layout_path src "$IMAGE")" "$RESPONSE_BODY"
CONFIG=$(jq -r .config.digest "$(layout_path src "$IMAGE")")
expect 200 "a blob" GET "/v2/images/app/blobs/$CONFIG?ns=up.example"
same "the same" up.example "$(header OCI-Namespace)"
is_cached "it lies below the prefix" $app "$CONFIG"
rules
expect_error 404 NAME_UNKNOWN "one that is not" GET "/v2/images/app/manifests/one?ns=other.example" "${accept[@]}"
contains "is named, too" "$(cat "$RESPONSE_BODY")" other.example
same "nobody is asked for it" 0 "$(asked true)"
expect_error 403 DENIED "what deny has" GET "/v2/up/private/app/manifests/one" "${accept[@]}"
same "is not asked for" 0 "$(asked true)"
expect_error 404 MANIFEST_UNKNOWN "a name outside of the prefix is local" GET "/v2/images/app/manifests/one" "${accept[@]}"

# --- pushes --------------------------------------------------------------------------------------
MANIFEST=$(layout_path src "$IMAGE")
expect_error 405 UNSUPPORTED "an upload to what is mirrored" POST "/v2/$app/blobs/uploads/"
contains "with the way out" "$(cat "$RESPONSE_BODY")" proxy.local
expect_error 405 UNSUPPORTED "a manifest" PUT "/v2/$app/manifests/one" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$MANIFEST"
expect_error 405 UNSUPPORTED "by namespace" POST "/v2/images/app/blobs/uploads/?ns=up.example"
expect_error 405 UNSUPPORTED "a mount from what is local" POST "/v2/$app/blobs/uploads/?mount=$CONFIG&from=team/app"
for repository in team/app elsewhere up/ours; do
    push_layout src "$INDEX" "$repository" latest
    pulls_layout "pushed to what is local" src "$INDEX" "$repository" latest
done
same "of which no upstream hears" 0 "$(asked true)"
expect 202 "it is deleted" DELETE "/v2/up/ours/manifests/$INDEX"
expect 404 "and gone, though its prefix is mirrored" GET "/v2/up/ours/manifests/$INDEX" "${accept[@]}"

# --- who asks here -------------------------------------------------------------------------------
printf 'password-of-carol\n' | "$BINARY" htpasswd add --cost 4 mirror.users carol >htpasswd.log 2>&1 || fail "wharf htpasswd add: $(cat htpasswd.log)"
SERVER_READY_STATUS=401
mirror_start users "auth:
  htpasswd:
    realm: mirror
    path: $WORK/mirror.users"
rules
expect 401 "a mirror that wants a login" GET "/v2/$app/manifests/one" "${accept[@]}"
same "asks nobody without" 0 "$(asked true)"
CURL_HOME=$WORK/as-client pulls_layout "with a login for the mirror" src "$IMAGE" $app one
same "the upstream gets its own login" "[null,\"Basic $(printf '%s:%s' "$UPSTREAM_USER" "$UPSTREAM_PASSWORD" | base64 -w0)\"]" \
    "$(jq -sc '[.[].authorization] | unique' "$ASKED")"
SERVER_READY_STATUS=200

# --- what is counted -----------------------------------------------------------------------------
DEBUG_PORT=$(free_port)
SERVER_ENV=("REGISTRY_HTTP_DEBUG_ADDR=127.0.0.1:$DEBUG_PORT" REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED=true)
mirror_start counted
SERVER_ENV=()
rules
pulls_layout "cold" src "$IMAGE" $app one
# A client has its last byte before it is on the disk.
wait_for 10 nothing_is_fetched || fail "a fetch has no end"
pulls_layout "warm" src "$IMAGE" $app one
expect 200 "metrics" GET "http://127.0.0.1:$DEBUG_PORT/metrics"
counted() { awk -v s="$1" '$1 == s { print $2 }' "$RESPONSE_BODY"; }
same "each blob was fetched once" 4 "$(counted wharf_mirror_fetches_total)"
same "and all were right" 0 "$(counted wharf_mirror_fetches_failed_total)"
same "blobs that were not here" 4 "$(counted 'registry_proxy_misses_total{type="blob"}')"
same "manifests that were not" 1 "$(counted 'registry_proxy_misses_total{type="manifest"}')"
hits=$(($(counted 'registry_proxy_hits_total{type="blob"}') + $(counted 'registry_proxy_hits_total{type="manifest"}')))
same "what was" 5 "$hits"
same "none is being fetched" 0 "$(counted wharf_mirror_fetches_in_flight)"
[ "$(counted 'wharf_mirror_received_bytes_total{upstream="up"}')" -gt 262144 ] || fail "the bytes are not counted: $(grep received "$RESPONSE_BODY")"
ok "bytes that were received"
[ "$(counted 'wharf_mirror_requests_total{upstream="up",outcome="ok"}')" -ge 6 ] || fail "requests are not counted: $(grep mirror_requests "$RESPONSE_BODY")"
ok "requests to the upstream"
