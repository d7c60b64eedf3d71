# The container image, built from a static binary by the classic builder, and from source.
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

# copy_programs DIRECTORY PROGRAM...: this machine's programs into DIRECTORY/bin, with the libraries that they need.
copy_programs() {
    local directory=$1 program library
    shift
    mkdir -p "$directory/bin"
    for program in "$@"; do
        cp -L "$(command -v "$program")" "$directory/bin/$program"
        while read -r library; do
            mkdir -p "$directory${library%/*}"
            cp -L "$library" "$directory$library"
        done < <(ldd "$(command -v "$program")" 2>/dev/null | grep -o '/[^ ]*')
    done
}

# image_of_programs HOST TAG DIRECTORY [CHANGE...]: what lies in the directory; changes are Dockerfile lines.
image_of_programs() {
    local host=$1 tag=$2 directory=$3 changes=() change
    shift 3
    for change in 'ENV PATH=/usr/local/bin:/bin' "$@"; do changes+=(--change "$change"); done
    tar -C "$directory" -c . | host "$host" docker import "${changes[@]}" - "$tag" >/dev/null
}

# image_build_from_source HOST TAG: as deploy/Dockerfile says, all of it but the compiler's work, which takes
# many minutes and a network: in the toolchain's image, rustc and cargo are scripts that check what they are
# asked for and hand over the static binary, which the same deploy/build-static made.
image_build_from_source() {
    local tools=$WORK/toolchain binary
    binary=$(static_binary)
    mkdir -p "$tools"/{bin,etc/ssl/certs,usr/local/bin,tmp,built}
    cp "${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}" "$tools/etc/ssl/certs/ca-certificates.crt"
    cp "$binary" "$tools/built/wharf"
    copy_programs "$tools" sh sed dirname mktemp rm mkdir cp chmod ln mv cat tar getconf sort head
    cat >"$tools/usr/local/bin/rustc" <<SH
#!/bin/sh
[ "\$*" = -vV ] || { echo "rustc \$*: only its version was expected" >&2; exit 1; }
echo "host: $(uname -m)-unknown-linux-gnu"
SH
    cat >"$tools/usr/local/bin/cargo" <<SH
#!/bin/sh
set -eu
target=$(uname -m)-unknown-linux-gnu
case \$* in
"rustc --release --locked --target \$target --package wharf --bin wharf --"*) ;;
*) echo "cargo \$*" >&2; exit 1 ;;
esac
case \$RUSTFLAGS in *+crt-static*) ;; *) echo "RUSTFLAGS=\$RUSTFLAGS" >&2; exit 1 ;; esac
for file in Cargo.toml Cargo.lock crates/wharf/src/main.rs; do [ -f \$file ] || { echo "no \$file" >&2; exit 1; }; done
for file in .git target; do [ ! -e \$file ] || { echo "\$file is in the context" >&2; exit 1; }; done
mkdir -p target/\$target/release
cp /built/wharf target/\$target/release/wharf
SH
    chmod 755 "$tools"/usr/local/bin/*
    image_of_programs "$1" e2e/toolchain "$tools"
    host "$1" docker build -q -f "$REPO_DIR/deploy/Dockerfile" --build-arg RUST_IMAGE=e2e/toolchain -t "$2" "$REPO_DIR" >"$WORK/build.log" 2>&1 ||
        fail "the image does not build from source: $(tail -n 3 "$WORK/build.log")"
}
