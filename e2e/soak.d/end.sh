# What a soak has left on its storage, looked at with no server running, and with one.
# shellcheck shell=bash

# s3_listing PREFIX: what lies below it, as "SIZE PATH".
s3_listing() {
    local page=$WORK/page.xml after=''
    while true; do
        s3 GET "$S3_BUCKET?list-type=2&prefix=${1//\//%2F}&start-after=${after//\//%2F}" >"$page"
        grep -o '<Key>[^<]*\|<Size>[^<]*' "$page" | cut -d'>' -f2 | paste -d ' ' - - | awk -v p="$1" '{ print $2, substr($1, length(p) + 1) }'
        grep -q '<IsTruncated>true' "$page" || return 0
        after=$(grep -o '<Key>[^<]*' "$page" | tail -n 1 | cut -d'>' -f2)
    done
}

# storage_listing NAME DIRECTORY: what lies below it on the storage.
storage_listing() {
    if [ "$REPLICAS_STORE" = filesystem ]; then
        if cd "$WORK/shared/$1/$2" 2>/dev/null; then
            find . -type f -printf '%s %P\n'
            cd "$WORK"
        fi
    else
        s3_listing "$1/$2/"
    fi
}

# storage_remove NAME DIRECTORY: deletes all that.
storage_remove() {
    local path
    if [ "$REPLICAS_STORE" = filesystem ]; then
        rm -rf "${WORK:?}/shared/$1/$2"
    else
        s3_listing "$1/$2/" | cut -d' ' -f2 >"$WORK/doomed"
        while read -r path; do s3 DELETE "$S3_BUCKET/$1/$2/$path"; done <"$WORK/doomed"
    fi
}

# soak_end NAME: what is left is collected, and what remains is compared with what was acknowledged.
soak_end() {
    local name=$1 config=$WORK/$1/end.yml report=$WORK/$1/report.json ledger=$WORK/$1/ledger
    # Which the servers' notes and pins lie in. It may be deleted while no server runs.
    storage_remove "$name" wharf
    sed -e 's/ gc: .*/ gc: {enabled: false}/' -e 's/uploadpurging: .*/uploadpurging: {enabled: true, age: 1s}/' "$WORK/replica-0.yml" >"$config"
    chmod 600 "$config"
    run_wharf() { env -i PATH="$PATH" HOME="$WORK" timeout 240 "$BINARY" "$@" "$config" </dev/null >"$report" || fail "$name: wharf $*: $(head -c 2000 "$report")"; }
    run_wharf garbage-collect -m --json
    log "$name: the last collection: $(jq -c '.deleted + {rescued, uploads, repositories_removed}' "$report")"
    same "$name: it has found no fault" 0 "$(jq .problems_total "$report")"
    run_wharf garbage-collect -m --json --dry-run
    same "$name: a second one has nothing to do" '{"tags":0,"manifests":0,"layers":0,"blobs":0,"blob_bytes":0}0' "$(jq -jc '.garbage, .uploads' "$report")"

    storage_listing "$name" docker/registry/v2 >"$WORK/$name/listing"
    judged compare "$ledger" "$WORK/$name/listing"
    run_wharf check --json
    same "$name: wharf check finds nothing" '' "$(jq -r '[.findings[] | "\(.kind)=\(.total)"] | join(" ")' "$report")"

    cp "$config" "$WORK/replica-0.yml"
    replica_spawn 0
    replica_wait 0
    judged verify "$ledger" "${REPLICA_URLS[0]#http://}"
    replica_stop 0
}

# judged COMMAND LEDGER ARGUMENT: by soak.py.
judged() {
    local code=0 out=$WORK/judged.log
    python3 "$E2E_DIR/soak.d/soak.py" "$@" >"$out" 2>&1 || code=$?
    [ "$code" = 0 ] || { cat "$out"; fail "$name: $1: $(grep -m 1 BROKEN "$out" || tail -n 1 "$out")"; }
    ok "$name: $(head -n 1 "$out")"
}
