# What is fetched ahead of clients.
# shellcheck shell=bash
layout_init ahead-src
FIRST_IMAGE=$(layout_image ahead-src 'ahead one' amd64)
OTHER_IMAGE=$(layout_image ahead-src 'ahead other' arm64)
AHEAD_INDEX=$(layout_index ahead-src "$FIRST_IMAGE" amd64 "$OTHER_IMAGE" arm64)
upstream_push ahead-src "$AHEAD_INDEX" images/ahead index
# All but the index itself.
AHEAD_PARTS=$(($(find ahead-src/blobs/sha256 -type f | wc -l) - 1))
was_fetched_ahead() {
    [ "$(figure 'wharf_mirror_prefetch_parts_total{outcome="fetched"}')" = "$1" ] && [ "$(figure wharf_mirror_prefetch_waiting)" = 0 ]
}
# mirror_ahead NAME WHAT
mirror_ahead() {
    SERVER_ENV=("REGISTRY_HTTP_DEBUG_ADDR=127.0.0.1:$DEBUG_PORT" REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED=true)
    mirror_start "$1" "      prefetch: $2"
    SERVER_ENV=()
    rules
}
mirror_ahead ahead-layers layers
expect 200 "HEAD of an image" HEAD "/v2/up/images/ahead/manifests/$FIRST_IMAGE" "${accept[@]}"
expect 200 "its index" GET /v2/up/images/ahead/manifests/index "${accept[@]}"
sleep 0.5
same "bring nothing more" 0 "$(asked '.method == "GET" and (.path | contains("/blobs/"))')"
expect 200 "the image" GET "/v2/up/images/ahead/manifests/$FIRST_IMAGE" "${accept[@]}"
for blob in $(jq -r '.config.digest, .layers[].digest' "$RESPONSE_BODY"); do
    is_cached "brings what is in it" up/images/ahead "$blob"
done
same "and not the other one" 0 "$(asked ".path | endswith(\"$OTHER_IMAGE\")")"

mirror_ahead ahead-all all
quietly expect 200 "an index" GET /v2/up/images/ahead/manifests/index "${accept[@]}"
wait_for 20 was_fetched_ahead "$AHEAD_PARTS" ||
    fail "$AHEAD_PARTS parts are not fetched ahead: $(curl -s --noproxy '*' "http://127.0.0.1:$DEBUG_PORT/metrics" | grep prefetch)"
ok "an index brings all that it has: $AHEAD_PARTS parts"
same "none is asked for twice" 0 "$(jq -r 'select(.method == "GET" and .authorization != null) | .path' "$ASKED" | sort | uniq -d | wc -l)"
upstream_stop
pulls_layout "which is here when the upstream is not" ahead-src "$AHEAD_INDEX" up/images/ahead index
upstream_start

# --- a backup of it ------------------------------------------------------------------------------
"$BINARY" backup create "$SERVER_CONFIG" ahead-backup --json >left-out.json 2>backup.log || fail "a backup: $(cat backup.log)"
same "a backup leaves mirrored repositories out, and says how many" '[0,1]' "$(jq -c '[.repositories, .left_out]' left-out.json)"
"$BINARY" backup create "$SERVER_CONFIG" ahead-backup --mirrored --json >taken.json 2>backup.log || fail "a backup with all: $(cat backup.log)"
same "unless it is told not to" '[1,0]' "$(jq -c '[.repositories, .left_out]' taken.json)"
