# A volume in which something is wrong: torn links, missing data, strange files, a full disk.
# shellcheck shell=bash disable=SC2154
root=$VOLUME/docker/registry/v2
victim=$(layout_image src victim)
push_layout src "$victim" bad/torn one
push_layout src "$victim" bad/torn two
push_layout src "$victim" bad/empty one

if [ "$SERVER" = wharf ]; then
    # A tag whose link is empty is treated as absent, and its neighbours are listed.
    : >"$root/repositories/bad/torn/_manifests/tags/one/current/link"
    refuses 404 MANIFEST_UNKNOWN "a tag link of zero bytes" GET /v2/bad/torn/manifests/one -H "Accept: $OCI_MANIFEST"
    expect 200 "the tags are listed all the same" GET /v2/bad/torn/tags/list
    contains "with the good tag" "$(jq -c .tags "$RESPONSE_BODY")" '"two"'
    pulls_layout "the good tag" src "$victim" bad/torn two
    push_manifest bad/torn one "$(layout_path src "$victim")" "$OCI_MANIFEST"
    pulls_layout "pushed again, the torn tag is whole" src "$victim" bad/torn one

    layer=$(jq -r '.layers[1].digest' "$(layout_path src "$victim")")
    : >"$root/repositories/bad/empty/_layers/sha256/${layer#*:}/link"
    refuses 404 BLOB_UNKNOWN "a layer link of zero bytes" GET "/v2/bad/empty/blobs/$layer"
    : >"$root/repositories/bad/empty/_manifests/revisions/sha256/${victim#*:}/link"
    refuses 404 MANIFEST_UNKNOWN "a revision link of zero bytes" GET "/v2/bad/empty/manifests/$victim" -H "Accept: $OCI_MANIFEST"
    printf 'sha256:%s\n' "${layer#*:}" >"$root/repositories/bad/empty/_layers/sha256/${layer#*:}/link"
    expect '200|404' "a layer link with a newline" GET "/v2/bad/empty/blobs/$layer"
    expect 200 "the catalog is listed all the same" GET /v2/_catalog
    contains "with the repositories beside it" "$(jq -c .repositories "$RESPONSE_BODY")" '"bad/app","bad/torn"'

    # A blob directory without its data: 404 to the client, and the blob can be pushed again.
    rm "$root/blobs/sha256/${layer:7:2}/${layer#*:}/data"
    refuses 404 BLOB_UNKNOWN "a blob directory without data: GET" GET "/v2/bad/torn/blobs/$layer"
    expect 404 "a blob directory without data: HEAD" HEAD "/v2/bad/torn/blobs/$layer"
    push_blob bad/torn "$(layout_path src "$layer")"
    pulls_layout "pushed again, the image is whole" src "$victim" bad/torn two
    rm "$root/blobs/sha256/${victim:7:2}/${victim#*:}/data"
    refuses 404 MANIFEST_UNKNOWN "a manifest whose data is gone" GET /v2/bad/torn/manifests/two -H "Accept: $OCI_MANIFEST"
    push_manifest bad/torn two "$(layout_path src "$victim")" "$OCI_MANIFEST"
    pulls_layout "pushed again, the manifest is there" src "$victim" bad/torn two

    # Things that are no part of the layout.
    mkdir -p "$root/repositories/bad/torn/_manifests/tags/.hidden" "$root/repositories/bad/torn/_uploads/not-a-uuid" "$root/repositories/lost+found"
    echo junk >"$root/repositories/bad/torn/_manifests/tags/file"
    echo junk >"$root/repositories/junk"
    echo junk >"$root/repositories/bad/torn/_manifests/tags/two/current/link.1234.tmp"
    expect 200 "strange files do not break the tags" GET /v2/bad/torn/tags/list
    expect 200 "strange files do not break the catalog" GET /v2/_catalog
    contains "all repositories" "$(jq -c .repositories "$RESPONSE_BODY")" '"bad/app"'
    still_whole "after a damaged volume"
fi
server_stop

# A full disk: a push is answered with a 5xx and an error body, what was acknowledged before stays
# whole, and with room again pushes go through.
full_disk() {
    local disk=$WORK/disk
    [ "$(id -u)" = 0 ] || { log "not checked: a full disk needs root to mount one"; return 0; }
    mkdir "$disk"
    mount -t tmpfs -o size=24m,mode=755 wharf-e2e "$disk" 2>/dev/null || { log "not checked: a full disk, a tmpfs cannot be mounted here"; return 0; }
    on_exit "umount -l $disk 2>/dev/null"
    VOLUME=$disk/volume
    server_start
    push_layout src "$image" bad/app one
    push_blob bad/app loose
    head -c 40000000 /dev/zero >too-big
    upload_begin bad/app
    # The server may answer and close before curl has sent all of it.
    expect '500|503|507' "a blob that does not fit" PUT "$(with_query "$UPLOAD" "digest=$(digest_of too-big)")" -H 'Content-Type: application/octet-stream' -H 'Expect:' --data-binary @too-big
    if [ "$SERVER" = wharf ]; then
        jq -e '.errors[0].code' "$RESPONSE_BODY" >/dev/null || fail "a full disk: not an OCI error: $(head -c 300 "$RESPONSE_BODY")"
    fi
    expect 404 "it is not there" GET "/v2/bad/app/blobs/$(digest_of too-big)"
    still_whole "with a full disk"
    head -c 30000000 /dev/zero >"$disk/filler" 2>/dev/null || true
    upload=$(layout_path src "$image")
    request PUT /v2/bad/app/manifests/onfull -H "Content-Type: $OCI_MANIFEST" --data-binary "@$upload"
    case $STATUS in
    201) pulls_manifest "a manifest acknowledged on a full disk" bad/app onfull "$upload" "$OCI_MANIFEST" ;;
    500 | 503 | 507) ok "a manifest on a full disk is refused ($STATUS)" ;;
    *) fail "a manifest on a full disk answered $STATUS" ;;
    esac
    still_whole "with the disk full to the last byte"
    rm -f "$disk/filler"
    find "$VOLUME" -path '*/_uploads/*' -name data -size +1M -delete
    head -c 1000000 /dev/urandom >fits
    push_blob bad/app fits
    pulls_blob "with room again a push goes through" bad/app "$(digest_of fits)" fits
    still_whole "after a full disk"
    server_stop
}
full_disk
