# Raw requests with curl, for what no client can be made to send. Every body and header of the last
# answer is kept: $RESPONSE_BODY, $RESPONSE_HEADERS, $STATUS.
# shellcheck shell=bash
RESPONSE_BODY=$WORK/response.body
RESPONSE_HEADERS=$WORK/response.headers
STATUS=
OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json
OCI_INDEX=application/vnd.oci.image.index.v1+json

# request METHOD URL-OR-PATH [CURL ARGUMENTS...]: sets STATUS, 000 when there was no answer.
request() {
    local method=$1 url=$2
    shift 2
    [[ $url == http* ]] || url=$URL$url
    local head=()
    [ "$method" != HEAD ] || head=(--head)
    : >"$RESPONSE_BODY"
    STATUS=$(curl -s --max-time 60 -X "$method" "${head[@]}" -o "$RESPONSE_BODY" -D "$RESPONSE_HEADERS" \
        -w '%{http_code}' "$@" "$url") || true
}

# expect STATUS WHAT METHOD URL [CURL ARGUMENTS...]; STATUS may be a list: "400|404".
expect() {
    local wanted=$1 what=$2
    shift 2
    request "$@"
    [[ "|$wanted|" == *"|$STATUS|"* ]] ||
        fail "$what: $1 $2 answered $STATUS, expected $wanted: $(head -c 400 "$RESPONSE_BODY")"
    ok "$what ($STATUS)"
}

# expect_error STATUS CODE WHAT METHOD URL [CURL ARGUMENTS...]: and the body is the spec's JSON with that code.
expect_error() {
    local wanted=$1 code=$2 what=$3 got
    shift 3
    expect "$wanted" "$what" "$@"
    got=$(jq -er '.errors[0].code' "$RESPONSE_BODY" 2>/dev/null) || fail "$what: not an OCI error body: $(head -c 400 "$RESPONSE_BODY")"
    [[ "|$code|" == *"|$got|"* ]] || fail "$what: error code $got, expected $code"
}

header() { tr -d '\r' <"$RESPONSE_HEADERS" | awk -F': ' -v h="$1" 'tolower($1) == tolower(h) { print $2; exit }'; }
absolute() { case $1 in http*) printf '%s' "$1" ;; *) printf '%s%s' "$URL" "$1" ;; esac; }
with_query() { case $1 in *\?*) printf '%s&%s' "$1" "$2" ;; *) printf '%s?%s' "$1" "$2" ;; esac; }

# quietly COMMAND...: without its ok lines, which would be noise for set-up steps.
quietly() {
    local before=$CHECKS
    "$@" >/dev/null
    CHECKS=$before
}

# upload_begin REPOSITORY: sets UPLOAD to the absolute location of a new session.
upload_begin() {
    quietly expect 202 "begin an upload in $1" POST "/v2/$1/blobs/uploads/"
    UPLOAD=$(absolute "$(header Location)")
}
# upload_patch FILE [CONTENT-RANGE]: appends to $UPLOAD.
upload_patch() {
    local range=()
    [ -z "${2:-}" ] || range=(-H "Content-Range: $2")
    quietly expect 202 "patch" PATCH "$UPLOAD" -H 'Content-Type: application/octet-stream' "${range[@]}" --data-binary "@$1"
    UPLOAD=$(absolute "$(header Location)")
}
# upload_finish DIGEST [FILE]
upload_finish() {
    local body=(-H 'Content-Length: 0')
    [ -z "${2:-}" ] || body=(-H 'Content-Type: application/octet-stream' --data-binary "@$2")
    quietly expect 201 "finish upload of $1" PUT "$(with_query "$UPLOAD" "digest=$1")" "${body[@]}"
}
# push_blob REPOSITORY FILE [DIGEST]
push_blob() {
    upload_begin "$1"
    upload_finish "${3:-$(digest_of "$2")}" "$2"
}
# push_manifest REPOSITORY REFERENCE FILE MEDIA-TYPE
push_manifest() {
    quietly expect 201 "push manifest $1 $2" PUT "/v2/$1/manifests/$2" -H "Content-Type: $4" --data-binary "@$3"
}
# pulls_manifest WHAT REPOSITORY REFERENCE FILE MEDIA-TYPE: byte for byte and with the right headers.
pulls_manifest() {
    quietly expect 200 "$1" GET "/v2/$2/manifests/$3" -H "Accept: $OCI_INDEX" -H "Accept: $OCI_MANIFEST"
    cmp -s "$RESPONSE_BODY" "$4" || fail "$1: the bytes of $2 $3 differ"
    [ "$(header Content-Type)" = "$5" ] || fail "$1: Content-Type is '$(header Content-Type)', not $5"
    ok "$1"
}
# pulls_blob WHAT REPOSITORY DIGEST FILE: from wherever the server sends its clients.
pulls_blob() {
    quietly expect 200 "$1" GET "/v2/$2/blobs/$3" -L
    cmp -s "$RESPONSE_BODY" "$4" || fail "$1: the bytes of blob $3 in $2 differ"
    ok "$1"
}
# request_is STATUS METHOD URL...: for wait_for.
request_is() {
    local wanted=$1
    shift
    request "$@"
    [ "$STATUS" = "$wanted" ]
}
