# A replica that is killed in the middle of an upload: what was acknowledged is there, and others finish it.
# shellcheck shell=bash
replicas_start killed
head -c 30000000 /dev/urandom >whole
head -c 7000000 whole >first
tail -c +7000001 whole >second
at 0
upload_begin kill/app
to_replica 1
upload_patch first "0-6999999"
# Slowly enough to be in the middle of it when the server goes.
to_replica 2
curl -s --noproxy '*' --max-time 60 --limit-rate 4M -X PATCH -H 'Content-Type: application/octet-stream' \
    -H 'Content-Range: 7000000-29999999' --data-binary @second "$UPLOAD" >cut.log 2>&1 &
sender=$!
CHILD_PIDS+=("$sender")
sleep 2
kill -KILL "${REPLICA_PIDS[2]}"
code=0
wait "$sender" || code=$?
[ "$code" != 0 ] || fail "the request ended well before its server was killed"
REPLICA_PIDS[2]=
ok "a replica is killed while it takes a chunk"

# The client asks how far it is, and goes on from there, as docker does.
to_replica 0
expect 204 "another replica knows the upload" GET "$UPLOAD"
last=$(header Range)
last=${last#0-}
[ "$last" -ge 6999999 ] && [ "$last" -lt 29999999 ] || fail "the upload has come to $last"
ok "it has come to byte $last, and not less than what was acknowledged"
tail -c +$((last + 2)) whole >rest
to_replica 1
quietly expect 202 "the rest" PATCH "$UPLOAD" -H 'Content-Type: application/octet-stream' \
    -H "Content-Range: $((last + 1))-29999999" --data-binary @rest
UPLOAD=$(absolute "$(header Location)")
to_replica 0
upload_finish "$(digest_of whole)"
at 1
request GET "/v2/kill/app/blobs/$(digest_of whole)" -L
same_file "another finishes it, and it is whole" whole "$RESPONSE_BODY"

# With one of three gone, the front gives its requests to the others.
at_front
for ((i = 0; i < 12; i++)); do
    request GET "/v2/kill/app/blobs/$(digest_of whole)" -L -r 0-99
    [ "$STATUS" = 206 ] || fail "request $i with a replica gone: $STATUS"
done
ok "nobody who pulls notices that one is gone"
layout_init lost
BUSYBOX=$SMALL_IMAGE
image=$(layout_image lost 'with one gone')
push_layout lost "$image" kill/app alone
pulls_manifest "a push with one gone" kill/app alone "$(layout_path lost "$image")" "$OCI_MANIFEST"

replica_spawn 2
replica_wait 2
at 2
pulls_manifest "started again, it serves what was pushed without it" kill/app alone "$(layout_path lost "$image")" "$OCI_MANIFEST"
request GET "/v2/kill/app/blobs/$(digest_of whole)" -L
same_file "and the upload that it was killed in" whole "$RESPONSE_BODY"
