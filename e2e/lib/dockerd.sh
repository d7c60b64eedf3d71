# A dockerd of our own: own data root, sockets and pid file, no bridge, no iptables, no system service.
# shellcheck shell=bash
dockerd_start() {
    need docker dockerd
    [ "$(id -u)" = 0 ] || not_run "dockerd needs root"
    local home=$WORK/dockerd log=$WORK/dockerd.log driver pid
    mkdir -p "$home/config"
    # The socket's path must stay short: unix sockets end at 108 bytes.
    export DOCKER_HOST=unix://$home/s DOCKER_CONFIG=$home/config DOCKER_CLI_EXPERIMENTAL=enabled DOCKER_BUILDKIT=0
    unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    for driver in overlay2 vfs; do
        env -u DOCKER_HOST dockerd --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" \
            -H "$DOCKER_HOST" --iptables=false --ip6tables=false --bridge=none --userland-proxy=false \
            --storage-driver="$driver" </dev/null >"$log" 2>&1 &
        pid=$!
        CHILD_PIDS+=("$pid")
        if wait_for 30 docker version; then
            log "dockerd $(docker version --format '{{.Server.Version}}') with $driver, client $(docker version --format '{{.Client.Version}}')"
            return 0
        fi
        end_pid "$pid"
    done
    tail -n 20 "$log" >&2
    not_run "dockerd does not start on this machine: $(grep -E 'level=(fatal|error)|failed' "$log" | tail -n 1 | cut -c1-200)"
}
