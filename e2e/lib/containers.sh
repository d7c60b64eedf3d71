# Settings that keep podman and buildah inside the work directory: own storage, no network, no
# registries but the one under test (call it after server_start), a policy that needs no signatures.
# shellcheck shell=bash
containers_setup() {
    local home=$WORK/containers
    mkdir -p "$home"/{root,run,tmp}
    printf '{"default":[{"type":"insecureAcceptAnything"}]}' >"$home/policy.json"
    printf '{}' >"$home/auth.json"
    printf 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n[[registry]]\nlocation = "%s"\ninsecure = true\n' \
        "$REG" >"$home/registries.conf"
    cat >"$home/containers.conf" <<CONF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$home/tmp"
[containers]
netns = "none"
CONF
    printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$home/run" "$home/root" >"$home/storage.conf"
    export CONTAINERS_CONF=$home/containers.conf CONTAINERS_REGISTRIES_CONF=$home/registries.conf
    export CONTAINERS_STORAGE_CONF=$home/storage.conf REGISTRY_AUTH_FILE=$home/auth.json TMPDIR=$home/tmp
    CONTAINERS_POLICY=$home/policy.json
    CONTAINERS_STORE=(--root "$home/root" --runroot "$home/run" --storage-driver vfs)
}
