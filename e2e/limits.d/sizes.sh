# Sizes: heads, targets and manifests.
# shellcheck shell=bash
with "  h2c:
    enabled: true
  limits:
    manifestsize: 2048"
printf 'X-Large: %s\n' "$(head -c 100000 /dev/zero | tr '\0' x)" >large.header
printf 'X-Large: %s\n' "$(head -c 300000 /dev/zero | tr '\0' x)" >huge.header
for ((i = 0; i < 300; i++)); do printf 'X-Field-%d: x\n' "$i"; done >many.header
expect_error 431 UNSUPPORTED "a head of 100 kB" GET /v2/ -H @large.header
expect 431 "a head of 300 kB" GET /v2/ -H @huge.header
expect 431 "300 fields" GET /v2/ -H @many.header
same "a head of 100 kB over HTTP/2" 431 "$("$CONNECTIONS" http2-head "$PORT" 100000)"
same "one of 20 kB is no trouble" "another status 88" "$("$CONNECTIONS" http2-head "$PORT" 20000 | cut -c1-17)"
expect_error 414 UNSUPPORTED "a target of 20 kB" GET "/v2/?$(head -c 20000 /dev/zero | tr '\0' x)"
expect 200 "a head of 20 kB, as tokens with many scopes have it" GET /v2/ -H "X-Large: $(head -c 20000 /dev/zero | tr '\0' x)"

# manifest BYTES: one of exactly that size.
manifest() {
    local begin="{\"schemaVersion\":2,\"mediaType\":\"$OCI_INDEX\",\"manifests\":[],\"annotations\":{\"x\":\""
    printf '%s%s"}}' "$begin" "$(head -c $(($1 - ${#begin} - 3)) /dev/zero | tr '\0' x)"
}
# takes STATUS WHAT BYTES [CURL ARGUMENTS...]
put=(-H "Content-Type: $OCI_INDEX" --data-binary @manifest)
manifest 2048 >manifest
expect 201 "a manifest of as many bytes as allowed" PUT /v2/limits/app/manifests/one "${put[@]}"
manifest 2049 >manifest
expect_error 413 MANIFEST_INVALID "a manifest of one byte more" PUT /v2/limits/app/manifests/two "${put[@]}"
expect_error 413 MANIFEST_INVALID "the same in chunks" PUT /v2/limits/app/manifests/two "${put[@]}" -H 'Transfer-Encoding: chunked'
expect_error 413 MANIFEST_INVALID "the same over HTTP/2" PUT /v2/limits/app/manifests/two "${put[@]}" --http2-prior-knowledge
expect 404 "it is not there" GET /v2/limits/app/manifests/two
with ""
manifest $((4 * 1024 * 1024)) >manifest
expect 201 "a manifest of 4 MiB, as no limit is set" PUT /v2/limits/app/manifests/large "${put[@]}"
manifest $((4 * 1024 * 1024 + 1)) >manifest
expect_error 413 MANIFEST_INVALID "a manifest of 4 MiB and a byte" PUT /v2/limits/app/manifests/larger "${put[@]}"
server_alive "after the large ones"
