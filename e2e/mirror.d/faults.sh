# An upstream that breaks off, sends wrong bytes, has had enough, or leads elsewhere.
# shellcheck shell=bash
app=up/images/app
# fault BYTES RULE: a new blob, and what happens to it.
fault() {
    random_blob "$1"
    rules "{path: \"$BLOB\", method: \"GET\"} + $2"
}
# The first request is turned away with 401 unless the login is known to be wanted; it is by now.
mirror_start faults
pulls_layout "before anything breaks" src "$IMAGE" $app one

fault $((4 * MIB)) "{do: \"cut\", at: 1500000}"
pulls_blob "a connection that breaks off" $app "$BLOB" "$BLOB_FILE"
resumed_at=$(jq -r 'select(.range != null) | .range' "$ASKED")
[[ $resumed_at =~ ^bytes=([0-9]+)-$ ]] && [ "${BASH_REMATCH[1]}" -gt 0 ] && [ "${BASH_REMATCH[1]}" -le 1500000 ] ||
    fail "the rest was asked for by '$resumed_at'"
ok "the rest was asked for, $resumed_at"
fault $((4 * MIB)) "{do: \"cut\", at: 1000000, times: 3}"
pulls_blob "three that break off" $app "$BLOB" "$BLOB_FILE"
fault $((4 * MIB)) "{do: \"pause\", at: 100000, secs: 1}"
pulls_blob "one that rests" $app "$BLOB" "$BLOB_FILE"

for at in 0 2000000 $((4 * MIB - 1)); do
    fault $((4 * MIB)) "{do: \"corrupt\", at: $at}"
    broken "byte $at is another: the transfer is broken" '18|56|92' $app "$BLOB"
    is_not_cached "and nothing is kept" $app "$BLOB"
    pulls_blob "the next one is right" $app "$BLOB" "$BLOB_FILE"
done
same "no upload is left" '' "$(find "$VOLUME" -path '*_uploads/*' -type f)"
fault 5000 "{do: \"corrupt\", at: 17}"
expect_error 502 UNAVAILABLE "a small blob that is wrong is an error" GET "/v2/$app/blobs/$BLOB"
is_not_cached "and nothing is kept" $app "$BLOB"
upstream_push src "$INDEX" images/app wrong
mirror_start faults-manifest
rules '{do: "corrupt", method: "GET", path: "/manifests/", at: 30, times: 9}'
expect_error 502 UNAVAILABLE "a manifest that is wrong" GET "/v2/$app/manifests/wrong" "${accept[@]}"
is_not_cached "is not kept" $app "$INDEX"
rules
pulls_manifest "the next one is right" $app wrong "$(layout_path src "$INDEX")" "$OCI_INDEX"

fault $((2 * MIB)) "{do: \"length\", by: -1000}"
broken "a length that is less" '18|56|92' $app "$BLOB"
is_not_cached "nothing is kept" $app "$BLOB"
pulls_blob "the next one is right" $app "$BLOB" "$BLOB_FILE"
fault $((2 * MIB)) "{do: \"length\", by: 1000}"
broken "a length that is more" '18|56|92' $app "$BLOB"
is_not_cached "nothing is kept" $app "$BLOB"
pulls_blob "the next one is right" $app "$BLOB" "$BLOB_FILE"
fault $((2 * MIB)) "{do: \"hang\", secs: 2}"
pulls_blob "an answer that takes its time" $app "$BLOB" "$BLOB_FILE"

# --- enough for today, out of order ------------------------------------------------------------
pulls_layout "a tag that is here" src "$IMAGE" $app one
upstream_push src "$IMAGE" images/app cold
# Each as the answer to everything.
everything() { rules "{do: \"status\", times: 1000} + $1"; }
everything '{code: 429, headers: {"Retry-After": "17"}}'
expect_error 429 TOOMANYREQUESTS "429 and a tag that is not here" GET "/v2/$app/manifests/cold" "${accept[@]}"
same "with the upstream's Retry-After" 17 "$(header Retry-After)"
expect 429 "HEAD of it" HEAD "/v2/$app/manifests/cold" "${accept[@]}"
same "too" 17 "$(header Retry-After)"
expect 200 "429 and one that is" GET "/v2/$app/manifests/one" "${accept[@]}"
contains "is served as it was" "$(header Warning)" 110
same_file "byte for byte" "$(layout_path src "$IMAGE")" "$RESPONSE_BODY"
expect 200 "HEAD of it" HEAD "/v2/$app/manifests/one" "${accept[@]}"
contains "is marked, too" "$(header Warning)" 110
expect 200 "by its digest" GET "/v2/$app/manifests/$IMAGE" "${accept[@]}"
same "nothing can be out of date" '' "$(header Warning)"
random_blob 100000
expect_error 429 TOOMANYREQUESTS "429 and a blob that is not here" GET "/v2/$app/blobs/$BLOB"
same "with Retry-After" 17 "$(header Retry-After)"
for code in 500 502 503 504; do
    everything "{code: $code}"
    expect_error "$code" UNAVAILABLE "$code and a tag that is not here" GET "/v2/$app/manifests/cold" "${accept[@]}"
    expect 200 "one that is here" GET "/v2/$app/manifests/one" "${accept[@]}"
    contains "is served as it was" "$(header Warning)" 110
done
everything '{code: 403}'
expect_error 403 DENIED "403 and a tag that is not here" GET "/v2/$app/manifests/cold" "${accept[@]}"
everything '{code: 418}'
expect_error 502 UNAVAILABLE "an answer that makes no sense" GET "/v2/$app/manifests/cold" "${accept[@]}"
rules
pulls_layout "all is well again" src "$IMAGE" $app cold
expect 200 "and nothing is marked" GET "/v2/$app/manifests/one" "${accept[@]}"
same "any more" '' "$(header Warning)"

# --- elsewhere -----------------------------------------------------------------------------------
random_blob $((2 * MIB))
rules "{do: \"redirect\", path: \"$BLOB\", to: \"$ELSEWHERE\", times: 9}"
pulls_blob "a blob that lies on another host" $app "$BLOB" "$BLOB_FILE"
same "the other host was asked without a login" '[null]' "$(jq -sc '[.[].authorization] | unique' "$ELSEWHERE_ASKED")"
contains "the upstream with it" "$(jq -sc '[.[].authorization]' "$ASKED")" Basic
fault $((2 * MIB)) "{do: \"redirect\", to: \"http://169.254.169.254\", times: 9}"
expect_error 502 UNAVAILABLE "where the cloud keeps its secrets is not looked" GET "/v2/$app/blobs/$BLOB"
contains "and the reason is said" "$(cat "$RESPONSE_BODY")" "not a public address"
fault $((2 * MIB)) "{do: \"redirect\", to: \"$FRONT\", times: 99}"
expect_error 502 UNAVAILABLE "nor in circles" GET "/v2/$app/blobs/$BLOB"
rules
server_alive "after the faults"
