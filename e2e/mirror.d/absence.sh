# What the upstream does not have, and an upstream that is not there.
# shellcheck shell=bash
mirror_start absence "      negativettl: 2s"
rules
expect_error 404 MANIFEST_UNKNOWN "a tag that is nowhere" GET "/v2/$app/manifests/later" "${accept[@]}"
before=$(asked true)
expect_error 404 MANIFEST_UNKNOWN "again" GET "/v2/$app/manifests/later" "${accept[@]}"
same "is not asked for again so soon" "$before" "$(asked true)"
expect_error 404 BLOB_UNKNOWN "a blob that is nowhere" GET "/v2/$app/blobs/sha256:$(printf '%064d' 7)"
expect_error 404 NAME_UNKNOWN "a repository that is nowhere" GET /v2/up/no/such/tags/list
upstream_push src "$IMAGE" images/app later
wait_for 5 request_is 200 GET "/v2/$app/manifests/later" "${accept[@]}" || fail "a tag that came later is not found"
ok "a tag that came later is found"

pulls_layout "while the upstream is there" src "$INDEX" $app index
upstream_stop
pulls_layout "and when it is gone" src "$INDEX" $app index
expect 200 "what the tag named" GET "/v2/$app/manifests/index" "${accept[@]}"
contains "is marked as out of date, perhaps" "$(header Warning)" 110
expect_error 502 UNAVAILABLE "a tag that is not here is not 404" GET "/v2/$app/manifests/one" "${accept[@]}"
[ -n "$(header Retry-After)" ] || fail "there is no Retry-After"
expect 502 "nor is a blob" GET "/v2/$app/blobs/$BLOB"
expect 200 "the tags that are here" GET "/v2/$app/tags/list"
same "are listed" '["index","later"]' "$(jq -c .tags "$RESPONSE_BODY")"
contains "and marked" "$(header Warning)" 110
mirror_start absence
pulls_layout "after a restart, still without an upstream" src "$INDEX" $app index
# Nobody is served what is older than is allowed.
mirror_start absence "      staleiferror: 0s"
expect_error 502 UNAVAILABLE "unless a tag may not be out of date" GET "/v2/$app/manifests/index" "${accept[@]}"
pulls_layout "which a digest can't be" src "$INDEX" $app "$INDEX"
mirror_start absence "      offline: true"
pulls_layout "offline" src "$INDEX" $app index
expect 200 "nothing is marked where nobody is to be asked" GET "/v2/$app/manifests/index" "${accept[@]}"
same "since that is no failure" '' "$(header Warning)"
expect_error 404 MANIFEST_UNKNOWN "offline, what is not here is nowhere" GET "/v2/$app/manifests/one" "${accept[@]}"
upstream_start
mirror_start absence
pulls_layout "when the upstream is back" src "$IMAGE" $app one
