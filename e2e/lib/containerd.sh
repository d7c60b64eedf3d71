# A containerd of its own: below $WORK, without what Kubernetes needs, at the socket $WORK/c.sock.
# shellcheck shell=bash

# containerd_config: writes its configuration, and prints the name of the file.
containerd_config() {
    cat >"$WORK/containerd.toml" <<TOML
version = 2
root = "$WORK/containerd/root"
state = "$WORK/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$WORK/c.sock"
TOML
    printf '%s' "$WORK/containerd.toml"
}

# ctr_of COMMAND...: COMMAND's ctr at that socket, in a namespace of its own; with `command` this machine's.
ctr_of() { local via=$1; shift; "$via" ctr --address "$WORK/c.sock" --namespace e2e "$@"; }

# containerd_here: starts it on this machine; fails when it does not come up.
containerd_here() {
    containerd --config "$(containerd_config)" </dev/null >"$WORK/containerd.log" 2>&1 &
    CHILD_PIDS+=("$!")
    wait_for 20 ctr_of command version
}

# host_containerd NAME: starts it on that machine (lib/hosts.sh); the part is not run where it does not come up.
host_containerd() {
    host_spawn "$1" "$WORK/containerd.log" containerd --config "$(containerd_config)"
    wait_for 20 host "$1" ctr --address "$WORK/c.sock" version ||
        not_run "containerd does not start on this machine: $(tail -n 1 "$WORK/containerd.log")"
}
