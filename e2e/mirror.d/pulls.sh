# What is pulled through: once, with the upstream's credentials and not the client's, for as many as come.
# shellcheck shell=bash
accept=(-H "Accept: $OCI_INDEX" -H "Accept: $OCI_MANIFEST")
expect 401 "the upstream wants a login" GET "$FRONT/v2/images/app/manifests/one" "${accept[@]}"
mirror_start pulls
rules
# The client has credentials of its own.
mkdir as-client
printf 'user = "carol:password-of-carol"\n' >as-client/.curlrc
CURL_HOME=$WORK/as-client pulls_layout "with the mirror's login" src "$IMAGE" up/images/app one
same "and no other was sent there" "[null,\"Basic $(printf '%s:%s' "$UPSTREAM_USER" "$UPSTREAM_PASSWORD" | base64 -w0)\"]" \
    "$(jq -sc '[.[].authorization] | unique' "$ASKED")"
same "nor anything else of the client" 0 "$(grep -c -e carol -e "$(printf carol: | base64 | cut -c1-6)" "$ASKED" || true)"
pulls_layout "an index and what is in it" src "$INDEX" up/images/app index
rules
pulls_layout "again, from here" src "$INDEX" up/images/app index
same "the upstream is asked for the tag alone" 'HEAD manifests/index' "$(jq -r '"\(.method) \(.path | sub("^/v2/images/app/"; ""))"' "$ASKED" | sort -u)"
pulls_layout "by digest" src "$IMAGE" up/images/app "$IMAGE"
expect 200 "tags" GET /v2/up/images/app/tags/list
same "all of the upstream's" '["index","one"]' "$(jq -c .tags "$RESPONSE_BODY")"

# A tag that goes on to another image.
upstream_push src "$IMAGE" images/app moving
quietly expect 200 "a tag" GET /v2/up/images/app/manifests/moving "${accept[@]}"
upstream_push src "$INDEX" images/app moving
pulls_layout "a tag that moved names the new image at once" src "$INDEX" up/images/app moving

# --- blobs that are not here --------------------------------------------------------------------
random_blob $((3 * MIB))
rules
expect 200 "HEAD of a cold blob" HEAD "/v2/up/images/app/blobs/$BLOB"
same "says its size" $((3 * MIB)) "$(header Content-Length)"
same "and downloads nothing" 0 "$(asked_blob "$BLOB" GET)"
is_not_cached "nor keeps anything" up/images/app "$BLOB"
expect 206 "a range of a cold blob" GET "/v2/up/images/app/blobs/$BLOB" -H 'Range: bytes=1000000-2000009'
same "says which" "bytes 1000000-2000009/$((3 * MIB))" "$(header Content-Range)"
same_file "and has its bytes" <(head -c 2000010 "$BLOB_FILE" | tail -c 1000010) "$RESPONSE_BODY"
is_cached "the whole of it is kept" up/images/app "$BLOB"
same "after one request" 1 "$(asked_blob "$BLOB" GET)"
random_blob $MIB
expect 206 "the end of a cold blob" GET "/v2/up/images/app/blobs/$BLOB" -H 'Range: bytes=-5'
same_file "and its bytes" <(tail -c 5 "$BLOB_FILE") "$RESPONSE_BODY"
expect 416 "a range behind the end" GET "/v2/up/images/app/blobs/$BLOB" -H "Range: bytes=$MIB-"

# Two at once, of which the second comes while the first is in the middle of it.
random_blob $((64 * MIB))
rules "{do: \"pause\", method: \"GET\", path: \"$BLOB\", at: $((8 * MIB)), secs: 2, times: 2}"
pull_to() { curl -sf --max-time 60 -o "$1" -w '%{time_starttransfer}' "$URL/v2/up/images/app/blobs/$BLOB" >"$1.first"; }
pull_to first &
FIRST=$!
wait_for 10 test -s first || fail "nothing comes before everything is there"
pull_to second &
SECOND=$!
wait_for 10 test -s second || fail "the second client gets nothing while it is fetched"
wait "$FIRST" && wait "$SECOND" || fail "two pulls of one layer"
same_file "64 MiB for two clients at once" "$BLOB_FILE" first
same_file "both" "$BLOB_FILE" second
same "the upstream sent them once" 1 "$(asked_blob "$BLOB" GET)"
same "and its own log says so" 1 "$(grep -c "\"GET /v2/images/app/blobs/$BLOB HTTP/1.1\" 200" upstream.log)"
# A client that goes away takes nothing from the next one.
random_blob $((16 * MIB))
rules "{do: \"pause\", method: \"GET\", path: \"$BLOB\", at: $((8 * MIB)), secs: 1, times: 2}"
code=0
curl -s -o /dev/null --max-time 0.5 "$URL/v2/up/images/app/blobs/$BLOB" || code=$?
same "a client gives up" 28 "$code"
is_cached "what it began is fetched to its end" up/images/app "$BLOB"
same "by one request" 1 "$(asked_blob "$BLOB" GET)"
