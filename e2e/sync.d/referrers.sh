# Signatures and what else refers to an image: cosign's in both forms, and what oras attaches.
# shellcheck shell=bash
export HOME=$WORK DOCKER_CONFIG=$WORK/docker COSIGN_PASSWORD=e2e
mkdir -p docker
if command -v cosign >/dev/null && command -v oras >/dev/null; then
    plain=(--allow-http-registry --allow-insecure-registry)
    # Loopback is reached without a proxy, everything else through one that does not exist.
    offline() { env HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 NO_PROXY=127.0.0.1 "$@" >client.log 2>&1 || { cat client.log >&2; return 1; }; }
    push_layout src "$ONE" signed/app v1
    push_layout src "$TWO" signed/app v2
    offline cosign generate-key-pair
    offline cosign signing-config create --out offline.json
    offline cosign trusted-root create --out root.json
    offline cosign sign -y "${plain[@]}" --key cosign.key --signing-config offline.json --trusted-root root.json "$REG/signed/app@$ONE"
    offline cosign sign -y "${plain[@]}" --key cosign.key --use-signing-config=false --new-bundle-format=false --tlog-upload=false "$REG/signed/app@$TWO"
    echo '{"sbom":1}' >sbom.json
    offline oras attach --plain-http --artifact-type application/vnd.example.sbom "$REG/signed/app:v1" sbom.json:application/json
    with_jobs "name: signed, to: {$OTHER}, repositories: [signed/app]" \
        "name: bare, to: {$OTHER}, repositories: [signed/app], prefix: bare, referrers: false"
    syncs "signed images are copied"
    offline cosign verify "${plain[@]}" --insecure-ignore-tlog --key cosign.pub --trusted-root root.json "127.0.0.1:$OTHER_PORT/signed/app@$ONE"
    ok "cosign verifies the bundle at the target"
    offline cosign verify "${plain[@]}" --insecure-ignore-tlog --key cosign.pub --new-bundle-format=false "127.0.0.1:$OTHER_PORT/signed/app@$TWO"
    ok "cosign verifies the signature under a tag at the target"
    at_other expect 200 "the referrers there" GET "/v2/signed/app/referrers/$ONE"
    same "are the bundle and the SBOM" 'application/vnd.dev.sigstore.bundle.v0.3+json application/vnd.example.sbom' "$(jq -r '[.manifests[].artifactType] | sort | join(" ")' "$RESPONSE_BODY")"
    same "no tag was made of what has one only here" 'v1 v2' "$(at_other quietly expect 200 tags GET /v2/bare/signed/app/tags/list; jq -r '.tags | join(" ")' "$RESPONSE_BODY")"
    at_other expect 200 "and without referrers" GET "/v2/bare/signed/app/referrers/$ONE"
    same "there are none" 0 "$(jq '.manifests | length' "$RESPONSE_BODY")"

    # One more, of an image that is there already.
    echo 'scanned' >scan.txt
    offline oras attach --plain-http --artifact-type application/vnd.example.scan "$REG/signed/app:v1" scan.txt:text/plain
    syncs "a new referrer of an image that is there" signed
    at_other expect 200 "is there, too" GET "/v2/signed/app/referrers/$ONE?artifactType=application/vnd.example.scan"
    same "once" 1 "$(jq '.manifests | length' "$RESPONSE_BODY")"

    # Distribution has no referrers API: the fallback tag.
    with_jobs "name: fallback, to: {$DISTRIBUTION}, repositories: [signed/app]"
    syncs "signed images are copied to Distribution"
    at_distribution expect 200 "with the fallback tag" GET "/v2/signed/app/manifests/${ONE/:/-}" -H "Accept: $OCI_INDEX"
    same "which names all three" 3 "$(jq '.manifests | length' "$RESPONSE_BODY")"
    with_jobs "name: unfallback, from: {$DISTRIBUTION}, repositories: [signed/app], prefix: again"
    syncs "and back again"
    expect 200 "where they are referrers" GET "/v2/again/signed/app/referrers/$ONE"
    same "all three" 3 "$(jq '.manifests | length' "$RESPONSE_BODY")"
else
    left_out "cosign or oras is not on this machine"
fi
