# What one replica has acknowledged, the others show at once, and what one has deleted, the others do not.
# shellcheck shell=bash
replicas_start listings
layout_init listed
BUSYBOX=$SMALL_IMAGE
at 0
for name in one two; do
    declare "$name=$(layout_image listed "$name")"
    push_layout listed "${!name}" "ls/app" "$name"
done
for replica in 0 1 2; do
    at "$replica"
    quietly expect 200 tags GET /v2/ls/app/tags/list
    same "replica $replica lists both tags" '["one","two"]' "$(jq -c '.tags | sort' "$RESPONSE_BODY")"
    quietly expect 200 catalog GET /v2/_catalog
    same "and the repository" '["ls/app"]' "$(jq -c '.repositories' "$RESPONSE_BODY")"
done
# A list that each has given before, and a change by one of them.
round=0
while [ $((round += 1)) -le 9 ]; do
    at "$round"
    push_manifest ls/app "again-$round" "$(layout_path listed "$one")" "$OCI_MANIFEST"
    at $((round + 1))
    quietly expect 200 tags GET /v2/ls/app/tags/list
    jq -e --arg t "again-$round" '.tags | index($t)' "$RESPONSE_BODY" >/dev/null ||
        fail "replica $(((round + 1) % REPLICA_COUNT)) does not list again-$round: $(cat "$RESPONSE_BODY")"
    at $((round + 2))
    pulls_manifest "tag moved" ls/app "again-$round" "$(layout_path listed "$one")" "$OCI_MANIFEST" >/dev/null
    push_manifest ls/app moving "$(layout_path listed "$([ $((round % 2)) = 0 ] && echo "$one" || echo "$two")")" "$OCI_MANIFEST"
    at "$round"
    pulls_manifest "tag moved" ls/app moving "$(layout_path listed "$([ $((round % 2)) = 0 ] && echo "$one" || echo "$two")")" "$OCI_MANIFEST" >/dev/null
done
ok "nine new tags and nine moves of a tag, each seen by the next replica at once"

at 1
expect 202 "a manifest is deleted at one replica" DELETE "/v2/ls/app/manifests/$two"
for replica in 2 0 1; do
    at "$replica"
    expect_error 404 MANIFEST_UNKNOWN "replica $replica has it no more" GET "/v2/ls/app/manifests/$two"
    expect_error 404 MANIFEST_UNKNOWN "nor its tag" GET "/v2/ls/app/manifests/two"
    quietly expect 200 tags GET /v2/ls/app/tags/list
    same "nor lists the tag" null "$(jq -c '.tags | index("two")' "$RESPONSE_BODY")"
done
layer=$(jq -r '.layers[2].digest' "$(layout_path listed "$two")")
at 2
expect 202 "a blob is deleted at one replica" DELETE "/v2/ls/app/blobs/$layer"
at 0
expect_error 404 BLOB_UNKNOWN "and is gone at another" GET "/v2/ls/app/blobs/$layer"
