# Requests that no client should send: names, digests, manifests, ranges.
# shellcheck shell=bash disable=SC2154
hex64=$(printf 'a%.0s' {1..64})

long=$(printf 'x%.0s' {1..300})
refuses '400' 'NAME_INVALID' "a name of 300 characters: GET" GET "/v2/$long/manifests/one"
refuses '400' 'NAME_INVALID' "a name of 300 characters: push" POST "/v2/$long/blobs/uploads/" -H 'Content-Length: 0'
expect '400|404' "a name with capitals" GET /v2/Bad/App/manifests/one
expect '301|400|404' "a name with ..: not a path" GET '/v2/bad/%2e%2e/%2e%2e/etc/manifests/one' --path-as-is
expect '400|404' "a tag of 200 characters" GET "/v2/bad/app/manifests/$(printf 't%.0s' {1..200})"
expect '404|400' "an unknown path" GET /v2/bad/app/nonsense

if [ "$SERVER" = wharf ]; then
    refuses '400' 'DIGEST_INVALID' "a digest with an unknown algorithm: GET blob" GET "/v2/bad/app/blobs/sha999:$hex64"
    refuses '400|404' 'DIGEST_INVALID|MANIFEST_UNKNOWN' "a digest with an unknown algorithm: GET manifest" GET "/v2/bad/app/manifests/sha999:$hex64"
    refuses '400' 'DIGEST_INVALID' "referrers of a malformed digest" GET /v2/bad/app/referrers/sha256:nothex
else
    expect '400|404' "a digest with an unknown algorithm: GET blob" GET "/v2/bad/app/blobs/sha999:$hex64"
fi
refuses '400|404' 'DIGEST_INVALID|MANIFEST_UNKNOWN|UNSUPPORTED' "a malformed digest: GET manifest" GET /v2/bad/app/manifests/sha256:short

# A manifest of 5 MB, well formed.
jq -n --arg a "$(head -c 1000 /dev/zero | tr '\0' a)" --arg t "$OCI_INDEX" \
    '{schemaVersion:2,mediaType:$t,manifests:[],annotations:([range(5000)|{("org.example.\(.)"):$a}]|add)}' >huge.json
[ "$(stat -c %s huge.json)" -gt 5000000 ] || fail "huge.json is only $(stat -c %s huge.json) bytes"
too_large=413
[ "$SERVER" = wharf ] || too_large=400
refuses "$too_large" 'SIZE_INVALID|MANIFEST_INVALID|TOOBIG|DENIED|UNSUPPORTED' "a manifest of 5 MB" PUT /v2/bad/app/manifests/huge -H "Content-Type: $OCI_INDEX" --data-binary @huge.json
expect 404 "and it was not stored" GET /v2/bad/app/manifests/huge -H "Accept: $OCI_INDEX"

put_manifest() { printf '%s' "$3" >bad.json; refuses "$1" "$2" "$4" PUT "/v2/bad/app/manifests/bad" -H "Content-Type: ${5:-$OCI_MANIFEST}" --data-binary @bad.json; }
put_manifest 400 MANIFEST_INVALID '{"schemaVersion":2,' "a manifest that is not JSON"
put_manifest 400 'MANIFEST_INVALID|MANIFEST_BLOB_UNKNOWN' '[]' "a manifest that is a list"
put_manifest 400 'MANIFEST_INVALID|MANIFEST_BLOB_UNKNOWN' '' "an empty manifest"
put_manifest '400|404' 'MANIFEST_BLOB_UNKNOWN' "{\"schemaVersion\":2,\"mediaType\":\"$OCI_MANIFEST\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$hex64\",\"size\":2},\"layers\":[]}" "a manifest whose config was never pushed"
put_manifest 400 'MANIFEST_INVALID|MANIFEST_BLOB_UNKNOWN|DIGEST_INVALID' "{\"schemaVersion\":2,\"mediaType\":\"$OCI_MANIFEST\",\"config\":{\"mediaType\":\"x\",\"digest\":\"md5:1\",\"size\":2},\"layers\":[]}" "a manifest with a bad digest in it"
put_manifest 400 MANIFEST_INVALID "{\"schemaVersion\":2,\"mediaType\":\"$OCI_INDEX\",\"manifests\":[]}" "a manifest whose mediaType is not its Content-Type"
printf '%s' "$(printf '[%.0s' {1..20000})" >bad.json
expect '400' "a manifest of 20,000 open brackets" PUT /v2/bad/app/manifests/bad -H "Content-Type: $OCI_MANIFEST" --data-binary @bad.json
expect '400' "a manifest under a digest that is not its own" PUT "/v2/bad/app/manifests/sha256:$hex64" -H "Content-Type: $OCI_MANIFEST" --data-binary "@$(layout_path src "$image")"

expect 416 "a range beyond the end" GET "/v2/bad/app/blobs/$loose" -H 'Range: bytes=70000-'
expect "200|400|416" "a range that is nonsense" GET "/v2/bad/app/blobs/$loose" -H 'Range: bytes=zzz'
expect '400|405|404' "an unknown method" FROB "/v2/bad/app/blobs/$loose"
if [ "$SERVER" = wharf ]; then
    refuses 400 PAGINATION_NUMBER_INVALID "n that is not a number" GET '/v2/_catalog?n=many'
fi
still_whole "after bad requests"
