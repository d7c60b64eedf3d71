# Machines made of namespaces: each has a network, mounts and a name of its own, so that a dockerd in
# it uses its default paths, bridge and ports, and the commands of a guide run as they are written.
# All are on one bridge, 10.123.7.0/24, that nothing else reaches.
# shellcheck shell=bash
declare -A HOST_PIDS=()
HOST_WORDS=()
SPAWNED_PID=
HOSTS_FILE=$WORK/hosts
HOSTS_NETWORK=10.123.7

# host_start NAME NUMBER: a machine that is called NAME and has the address 10.123.7.NUMBER.
host_start() {
    [ "$(id -u)" = 0 ] || not_run "namespaces need root"
    need unshare nsenter ip
    local name=$1 number=$2 home=$WORK/host-$1 pid
    if [ ${#HOST_PIDS[@]} -eq 0 ]; then
        printf '127.0.0.1 localhost\n' >"$HOSTS_FILE"
        host_namespaces switch
        host switch ip link add lan type bridge
        host switch ip link set lan up
    fi
    printf '%s.%s %s\n' "$HOSTS_NETWORK" "$number" "$name" >>"$HOSTS_FILE"
    mkdir -p "$home"/{docker,containerd,home}
    host_namespaces "$name"
    pid=${HOST_PIDS[$name]}
    host switch ip link add "to$number" type veth peer name eth0 netns "$pid"
    host switch ip link set "to$number" master lan up
    host "$name" ip addr add "$HOSTS_NETWORK.$number/24" dev eth0
    host "$name" ip link set eth0 up
    host "$name" hostname "$name"
    host "$name" mount --bind "$HOSTS_FILE" /etc/hosts
    mkdir -p /etc/docker /var/lib/docker
    host "$name" mount -t tmpfs tmpfs /etc/docker
    host "$name" mount -t tmpfs tmpfs /run
    host "$name" mount -t tmpfs tmpfs /srv
    host "$name" mount --bind "$home/docker" /var/lib/docker
}

# host_namespaces NAME: the process that keeps a machine's namespaces.
host_namespaces() {
    unshare --mount --net --uts --propagation private sleep 3600 </dev/null >/dev/null 2>&1 &
    local pid=$!
    CHILD_PIDS+=("$pid")
    HOST_PIDS[$1]=$pid
    local own
    own=$(readlink /proc/self/ns/net)
    _apart() { [ "$(readlink "/proc/$pid/ns/net")" != "$own" ] && [ "$(cat "/proc/$pid/comm")" = sleep ]; }
    wait_for 5 _apart || not_run "network namespaces can't be made on this machine"
    host "$1" ip link set lo up
}

# host NAME COMMAND...: runs a command on a machine, with a bare environment.
host() {
    host_words "$@"
    "${HOST_WORDS[@]}"
}

# host_spawn NAME LOG COMMAND...: runs it in the background. SPAWNED_PID is the command itself, not a
# shell around it, so that ending it ends the command; the script does that when it ends.
host_spawn() {
    local name=$1 log=$2
    shift 2
    host_words "$name" "$@"
    "${HOST_WORDS[@]}" </dev/null >>"$log" 2>&1 &
    SPAWNED_PID=$!
    CHILD_PIDS+=("$SPAWNED_PID")
}

# host_words NAME COMMAND...: sets HOST_WORDS to what runs the command on the machine.
host_words() {
    local pid=${HOST_PIDS[$1]} home=$WORK/host-$1/home
    shift
    HOST_WORDS=(nsenter -t "$pid" --mount --net --uts -- env -i --chdir="$PWD" PATH="$PATH" HOME="$home" TERM=dumb \
        CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" DOCKER_BUILDKIT=0 \
        ${CARGO_TARGET_DIR:+CARGO_TARGET_DIR="$CARGO_TARGET_DIR"} "$@")
}

# host_dockerd NAME: dockerd with its default network, which needs iptables.
host_dockerd() {
    need docker dockerd iptables
    local name=$1 log=$WORK/dockerd-$1.log driver
    for driver in overlay2 vfs; do
        host_spawn "$name" "$log" dockerd --storage-driver="$driver"
        if wait_for 30 host "$name" docker version; then
            log "$name: dockerd $(host "$name" docker version --format '{{.Server.Version}}') with $driver"
            return 0
        fi
        end_pid "$SPAWNED_PID"
    done
    tail -n 20 "$log" >&2
    not_run "dockerd with a bridge does not start on this machine: $(grep -E 'failed|level=(fatal|error)' "$log" | tail -n 1 | cut -c1-200)"
}
