# One upload's chunks to different replicas in turn, whatever their sizes; many pushes at once through the front.
# shellcheck shell=bash
replicas_start uploads

# Object stores want parts of 5 MiB or more: chunks below that, just there, above it, and of one byte.
CHUNKS=(100000 1 5242880 6000000 300000 12582912 1 262144)
# to_replica N: what the last answer's location names, at another replica.
to_replica() {
    at "$1"
    UPLOAD=$URL/${UPLOAD#http://*/}
}
head -c $((100000 + 1 + 5242880 + 6000000 + 300000 + 12582912 + 1 + 262144)) /dev/urandom >whole
at 0
upload_begin up/chunks
offset=0 turn=0
for size in "${CHUNKS[@]}"; do
    to_replica $((turn += 1))
    tail -c +$((offset + 1)) whole | head -c "$size" >chunk || true
    upload_patch chunk "$offset-$((offset + size - 1))"
    offset=$((offset + size))
    same "$size bytes at replica $((turn % REPLICA_COUNT)): the range" "0-$((offset - 1))" "$(header Range)"
    to_replica $((turn + 1))
    quietly expect 204 "status at the next one" GET "$UPLOAD"
    [ "$(header Range)" = "0-$((offset - 1))" ] || fail "the next replica says $(header Range) after $offset bytes"
done
ok "after each chunk the next replica knows how far the upload is"
expect 416 "a chunk that comes twice, at another replica" PATCH "$UPLOAD" -H 'Content-Type: application/octet-stream' \
    -H "Content-Range: 0-$((CHUNKS[0] - 1))" --data-binary "@chunk"
to_replica $((turn += 2))
upload_finish "$(digest_of whole)"
for replica in 0 1 2; do
    at "$replica"
    pulls_blob_whole() {
        request GET "/v2/up/chunks/blobs/$(digest_of whole)" -L
        [ "$STATUS" = 200 ] || fail "replica $1 answers $STATUS"
        same_file "replica $1 has it whole" whole "$RESPONSE_BODY"
    }
    pulls_blob_whole "$replica"
done

at 0
upload_begin up/cancelled
to_replica 1
upload_patch chunk
to_replica 2
expect 204 "an upload is cancelled by a third replica" DELETE "$UPLOAD"
to_replica 0
expect_error 404 BLOB_UPLOAD_UNKNOWN "and is gone at the first" GET "$UPLOAD"

# Eight clients with the same layer and one of their own, each upload spread over the replicas.
at_front
head -c 7000000 /dev/urandom >common
for client in 1 2 3 4 5 6 7 8; do head -c 600000 /dev/urandom >"own-$client"; done
# pushes CLIENT: by itself, with files of its own for the answers.
pushes() {
    local file
    RESPONSE_BODY=$WORK/response.body.$1 RESPONSE_HEADERS=$WORK/response.headers.$1
    for file in common "own-$1"; do
        head -c 300000 "$file" >"first-$1"
        tail -c +300001 "$file" >"rest-$1"
        upload_begin "up/many"
        upload_patch "first-$1"
        upload_finish "$(digest_of "$file")" "rest-$1"
    done
}
pids=()
for client in 1 2 3 4 5 6 7 8; do
    (trap - EXIT ERR; pushes "$client") >"pushes-$client.log" 2>&1 &
    pids+=("$!")
done
for client in 1 2 3 4 5 6 7 8; do
    wait "${pids[client - 1]}" || fail "client $client of eight: $(cat "pushes-$client.log")"
done
for file in common own-1 own-4 own-8; do
    request GET "/v2/up/many/blobs/$(digest_of "$file")" -L
    cmp -s "$file" "$RESPONSE_BODY" || fail "$file is not whole ($STATUS)"
done
ok "eight clients push the same layer and one of their own at once"
