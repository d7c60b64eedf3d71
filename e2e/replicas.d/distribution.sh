# Two replicas of wharf and one Distribution serve one bucket at the same time: what one pushed, mounted or deleted,
# the others serve or don't; and the same pushes leave the same keys.
# shellcheck shell=bash

# keys NAME: of everything below it but what belongs to uploads, and the notes of running servers.
keys() { s3 GET "$S3_BUCKET?list-type=2&prefix=$1%2F" | grep -o '<Key>[^<]*' | sed "s,<Key>$1/,," | grep -v -e /_uploads/ -e ^wharf/v1/servers/ | sort; }

# same_pushes: at the server that is asked.
same_pushes() {
    push_layout mixed "$mixed_one" mix/app one
    push_layout mixed "$mixed_two" mix/app two
    push_layout mixed "$mixed_two" mix/app one
    push_layout mixed "$mixed_index" mix/deep/er/multi latest
    local blob
    for blob in $(jq -r '.config.digest, .layers[].digest' "$(layout_path mixed "$mixed_one")"); do
        quietly expect 201 "mount" POST "/v2/mix/mounted/blobs/uploads/?mount=$blob&from=mix/app" -H 'Content-Length: 0'
    done
    push_manifest mix/mounted m "$(layout_path mixed "$mixed_one")" "$OCI_MANIFEST"
    upload_begin mix/chunks
    upload_patch mixed-1 "0-$(($(stat -c %s mixed-1) - 1))"
    upload_patch mixed-2 "$(stat -c %s mixed-1)-$(($(stat -c %s mixed-whole) - 1))"
    upload_finish "$(digest_of mixed-whole)"
}
# finds_all WHO: what same_pushes pushed.
finds_all() {
    VERIFIED=()
    pulls_layout "$1" mixed "$mixed_two" mix/app one
    pulls_layout "$1" mixed "$mixed_one" mix/app "$mixed_one"
    pulls_layout "$1" mixed "$mixed_index" mix/deep/er/multi latest
    pulls_layout "$1" mixed "$mixed_one" mix/mounted m
    pulls_blob "$1: a blob that came in chunks" mix/chunks "$(digest_of mixed-whole)" mixed-whole
    quietly expect 200 tags GET /v2/mix/app/tags/list
    same "$1: tags" '["one","two"]' "$(jq -c '.tags | sort' "$RESPONSE_BODY")"
    quietly expect 200 catalog GET /v2/_catalog
    contains "$1: the catalog" "$(jq -r '.repositories | join(" ")' "$RESPONSE_BODY")" 'mix/app'
}

layout_init mixed
BUSYBOX=$SMALL_IMAGE
mixed_one=$(layout_image mixed 'mixed one')
mixed_two=$(layout_image mixed 'mixed two')
mixed_arm=$(layout_image mixed 'mixed arm' arm64)
mixed_index=$(layout_index mixed "$mixed_one" "$HOST_ARCH" "$mixed_arm" arm64)
head -c 15000000 /dev/urandom >mixed-whole
head -c 7000000 mixed-whole >mixed-1
tail -c +7000001 mixed-whole >mixed-2

for program in docker-registry distribution3; do
    if ! command -v "$program" >/dev/null; then
        left_out "$program on wharf's bucket: it is not on this machine"
        continue
    fi
    for pusher in 0 2; do
        replicas_start "$program-$pusher" '  redirect: {disable: true}'
        # The third one's port and configuration, for Distribution.
        replica_stop 2
        DISTRIBUTION_BIN=$program replica_spawn 2 distribution
        replica_wait 2
        at "$pusher"
        same_pushes
        if [ "$pusher" = 0 ]; then others=(2 1) who=wharf; else others=(0 1) who=$program; fi
        for other in "${others[@]}"; do
            at "$other"
            if [ "$other" = 2 ]; then finds_all "$program, of what wharf pushed"; else finds_all "wharf $other, of what $who pushed"; fi
        done
        at "${others[0]}"
        quietly expect 202 "delete" DELETE "/v2/mix/app/manifests/$mixed_two"
        for other in 0 1 2; do
            at "$other"
            expect 404 "what was deleted at the other is gone at $other" GET "/v2/mix/app/manifests/$mixed_two" -H "Accept: $OCI_MANIFEST"
            expect 404 "and its tag" GET /v2/mix/app/manifests/one -H "Accept: $OCI_MANIFEST"
        done
        keys "$program-$pusher" >"keys-$who"
    done
    diff -u "keys-$program" keys-wharf >keys.diff || fail "the keys differ (- $program, + wharf): $(head -n 20 keys.diff)"
    ok "$program and wharf leave the same $(wc -l <keys-wharf) keys"
done
