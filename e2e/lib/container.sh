# The container image, built from a static binary by the classic builder.
# shellcheck shell=bash
# static_binary: prints WHARF_STATIC_BIN, or builds it on demand.
static_binary() {
    if [ -n "${WHARF_STATIC_BIN:-}" ]; then
        printf '%s' "$WHARF_STATIC_BIN"
        return
    fi
    (unset CARGO_TARGET_DIR && "$REPO_DIR/deploy/build-static") || fail "the static binary does not build"
}

# image_build HOST TAG: as deploy/Dockerfile.binary says, on a machine of hosts.sh.
image_build() {
    local context=$WORK/image-context binary
    binary=$(static_binary)
    mkdir -p "$context"
    [ -f "$context/rootfs.tar" ] || "$REPO_DIR/deploy/rootfs.sh" "$binary" "$context/rootfs.tar"
    host "$1" docker build -q -f "$REPO_DIR/deploy/Dockerfile.binary" -t "$2" "$context" >"$WORK/build.log" 2>&1 ||
        fail "the image does not build: $(tail -n 3 "$WORK/build.log")"
}
