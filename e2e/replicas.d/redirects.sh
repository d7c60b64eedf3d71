# Blobs come from the store itself by presigned URLs, unless redirects are turned off.
# shellcheck shell=bash
head -c 6000000 /dev/urandom >redirected
BLOB=$(digest_of redirected)

replicas_start redirects
push_blob redirect/app redirected
path=/v2/redirect/app/blobs/$BLOB
expect 307 "a blob is redirected" GET "$path"
location=$(header Location)
contains "to the store" "$location" "$S3_ENDPOINT/$S3_BUCKET/redirects/docker/registry/v2/blobs/"
contains "by a URL that is signed" "$location" X-Amz-Signature=
[[ $location != *"$S3_SECRET_KEY"* ]] || fail "the secret key is in the URL"
expect 200 "the store gives it to whoever has the URL" GET "$location"
same_file "whole" redirected "$RESPONSE_BODY"
expect 206 "a range of it" GET "$path" -L -r 5000000-5000099
tail -c +5000001 redirected | head -c 100 >part || true
same_file "those bytes" part "$RESPONSE_BODY"
expect 403 "not with another signature" GET "${location%?}$([ "${location: -1}" = 0 ] && echo 1 || echo 0)"
# HEAD of a blob is what clients ask before they push: with curl's --head, which does not follow.
request HEAD "$path"
case $STATUS in
200) same "HEAD says how large it is" 6000000 "$(header Content-Length)" ;;
307) expect 200 "HEAD is redirected, too" HEAD "$(header Location)" ;;
*) fail "HEAD of a blob is answered by $STATUS" ;;
esac
layout_init manifests
BUSYBOX=$SMALL_IMAGE
image=$(layout_image manifests 'not redirected')
push_layout manifests "$image" redirect/app latest 2>/dev/null
quietly expect 200 manifest GET /v2/redirect/app/manifests/latest -H "Accept: $OCI_MANIFEST"
same_file "a manifest is not redirected" "$(layout_path manifests "$image")" "$RESPONSE_BODY"
expect_error 404 BLOB_UNKNOWN "nor what is not there" GET "/v2/redirect/app/blobs/sha256:$(random_hex 32)"
expect_error 404 BLOB_UNKNOWN "nor what another repository has" GET "/v2/redirect/other/blobs/$BLOB"

replicas_start redirects '  redirect:
    disable: true'
expect 200 "with redirect.disable the bytes come from the replica" GET "$path"
same_file "whole" redirected "$RESPONSE_BODY"
expect 206 "a range" GET "$path" -r 5000000-5000099
same_file "those bytes" part "$RESPONSE_BODY"
