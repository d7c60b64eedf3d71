# Images made here, FROM scratch with a static busybox: an OCI image layout that every client can push.
# shellcheck shell=bash
BUSYBOX=${BUSYBOX:-$(command -v busybox || true)}
HOST_ARCH=$(uname -m | sed -e s/x86_64/amd64/ -e s/aarch64/arm64/)

# layer_tar DIRECTORY FILE: the same bytes for the same content.
layer_tar() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$2" .; }

# layout_init DIRECTORY
layout_init() {
    mkdir -p "$1/blobs/sha256" "$1/blobs/sha512"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[]}' "$OCI_INDEX" >"$1/index.json"
}
# layout_add DIRECTORY FILE [ALGORITHM]: moves FILE into the layout and prints its digest.
layout_add() {
    local algorithm=${3:-sha256} hex
    hex=$("${algorithm}sum" <"$2" | cut -d' ' -f1)
    mv "$2" "$1/blobs/$algorithm/$hex"
    printf '%s:%s' "$algorithm" "$hex"
}
layout_path() { printf '%s/blobs/%s' "$1" "${2/:/\/}"; }

# descriptor LAYOUT DIGEST MEDIA-TYPE: a JSON object.
descriptor() {
    jq -cn --arg t "$3" --arg d "$2" --argjson s "$(stat -c %s "$(layout_path "$1" "$2")")" '{mediaType:$t,digest:$d,size:$s}'
}

# layout_image LAYOUT WORDS [ARCH] [ALGORITHM]: three layers (busybox, a file with WORDS, 256 KiB of
# random data); running the image prints WORDS. Prints the manifest's digest.
layout_image() {
    local layout=$1 words=$2 arch=${3:-$HOST_ARCH} algorithm=${4:-sha256} build layers=() diffs=() layer diff
    build=$(mktemp -d "$WORK/image.XXXXXX")
    mkdir -p "$build"/{one/bin,two/etc,three/data}
    cp "$BUSYBOX" "$build/one/bin/busybox"
    printf '%s\n' "$words" >"$build/two/etc/words"
    head -c 262144 /dev/urandom >"$build/three/data/random"
    for layer in one two three; do
        layer_tar "$build/$layer" "$build/$layer.tar"
        diffs+=("\"$(digest_of "$build/$layer.tar")\"")
        gzip -n -1 "$build/$layer.tar"
        diff=$(layout_add "$layout" "$build/$layer.tar.gz" "$algorithm")
        layers+=("$(descriptor "$layout" "$diff" application/vnd.oci.image.layer.v1.tar+gzip)")
    done
    local IFS=,
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/bin/busybox"],"Cmd":["cat","/etc/words"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
        "$arch" "${diffs[*]}" >"$build/config"
    local config
    config=$(descriptor "$layout" "$(layout_add "$layout" "$build/config" "$algorithm")" application/vnd.oci.image.config.v1+json)
    printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' "$OCI_MANIFEST" "$config" "${layers[*]}" >"$build/manifest"
    layout_add "$layout" "$build/manifest" "$algorithm"
    rm -rf "$build"
}

# layout_index LAYOUT [-a ALGORITHM] DIGEST ARCH [DIGEST ARCH]...: prints the index's digest.
layout_index() {
    local layout=$1 algorithm=sha256 entries=()
    shift
    if [ "$1" = -a ]; then
        algorithm=$2
        shift 2
    fi
    while [ $# -gt 0 ]; do
        entries+=("$(descriptor "$layout" "$1" "$OCI_MANIFEST" | jq -c --arg a "$2" '.platform={architecture:$a,os:"linux"}')")
        shift 2
    done
    local IFS=,
    printf '{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' "$OCI_INDEX" "${entries[*]}" >"$layout/index.new"
    layout_add "$layout" "$layout/index.new" "$algorithm"
}

# layout_tag LAYOUT DIGEST MEDIA-TYPE NAME: names it in the layout's index.json.
layout_tag() {
    local entry
    entry=$(descriptor "$1" "$2" "$3" | jq -c --arg n "$4" '.annotations={"org.opencontainers.image.ref.name":$n}')
    jq -c --argjson e "$entry" '.manifests += [$e]' "$1/index.json" >"$1/index.json.new"
    mv "$1/index.json.new" "$1/index.json"
}

# push_layout LAYOUT DIGEST REPOSITORY REFERENCE: by raw requests, children first.
push_layout() {
    local layout=$1 digest=$2 repository=$3 reference=$4 file child type
    file=$(layout_path "$layout" "$digest")
    type=$(jq -r .mediaType "$file")
    if [ "$type" = "$OCI_INDEX" ]; then
        for child in $(jq -r '.manifests[].digest' "$file"); do push_layout "$layout" "$child" "$repository" "$child"; done
    else
        for child in $(jq -r '.config.digest, .layers[].digest' "$file"); do
            push_blob "$repository" "$(layout_path "$layout" "$child")" "$child"
        done
    fi
    push_manifest "$repository" "$reference" "$file" "$type"
}

# pulls_layout WHAT LAYOUT DIGEST REPOSITORY REFERENCE: everything below it, byte for byte. With
# REMEMBER=yes a blob is pulled once for each repository, until the caller empties VERIFIED.
declare -A VERIFIED=()
pulls_layout() {
    local what=$1 layout=$2 digest=$3 repository=$4 reference=$5 before=$CHECKS file child type
    file=$(layout_path "$layout" "$digest")
    type=$(jq -r .mediaType "$file")
    pulls_manifest "$what: $repository:$reference" "$repository" "$reference" "$file" "$type" >/dev/null
    if [ "$type" = "$OCI_INDEX" ]; then
        for child in $(jq -r '.manifests[].digest' "$file"); do
            pulls_layout "$what" "$layout" "$child" "$repository" "$child" >/dev/null
        done
    else
        for child in $(jq -r '.config.digest, .layers[].digest' "$file"); do
            [ -z "${REMEMBER:-}" ] || [ -z "${VERIFIED["$repository $child"]:-}" ] || continue
            pulls_blob "$what: $child" "$repository" "$child" "$(layout_path "$layout" "$child")" >/dev/null
            VERIFIED["$repository $child"]=yes
        done
    fi
    CHECKS=$before
    ok "$what: $repository:$reference is whole"
}
