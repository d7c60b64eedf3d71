# Three servers over one store, and nginx in front of them. Needs stores.sh, and a store that was started.
# shellcheck shell=bash disable=SC2034
REPLICAS_STORE=${REPLICAS_STORE:-s3}
REPLICA_COUNT=3
REPLICA_PORTS=() REPLICA_URLS=() REPLICA_PIDS=()
FRONT_URL='' FRONT_PID=''
# One log of all, as a client's script has it of its one server.
REPLICA_LOG=$WORK/replicas.log

# storage_section NAME S3-ENDPOINT [LINES]: everything below "storage:", with its data apart from other names'.
storage_section() {
    if [ "$REPLICAS_STORE" = filesystem ]; then
        printf '  filesystem:\n    rootdirectory: %s\n' "$WORK/shared/$1"
    else
        cat <<YAML
  s3:
    region: $S3_REGION
    regionendpoint: $2
    forcepathstyle: true
    secure: false
    bucket: $S3_BUCKET
    accesskey: $S3_ACCESS_KEY
    secretkey: $S3_SECRET_KEY
    rootdirectory: /$1
YAML
    fi
    cat <<YAML
  delete:
    enabled: true
  maintenance:
    uploadpurging: {enabled: false}
${3:-}
YAML
}

# replica_config FILE PORT NAME S3-ENDPOINT [STORAGE-LINES] [EXTRA]: the same secret for all.
replica_config() {
    cat >"$1" <<YAML
version: 0.1
log:
  level: info
storage:
$(storage_section "$3" "$4" "${5:-}")
http:
  addr: 127.0.0.1:$2
  secret: $REPLICA_SECRET
${6:-}
YAML
    chmod 600 "$1"
}
REPLICA_SECRET=$(random_hex 32)

# replica_spawn NUMBER [KIND]: from 0 on, with the configuration and the port that it has.
replica_spawn() {
    SERVER_CONFIG=$WORK/replica-$1.yml SERVER_LOG=$REPLICA_LOG server_spawn "$(server_binary "${2:-wharf}")"
    REPLICA_PIDS[$1]=$SERVER_PID
}
replica_answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 2 "${REPLICA_URLS[$1]}/v2/")" = 200 ]; }
replica_wait() { wait_for 20 replica_answers "$1" || fail "replica $1 does not answer: $(tail -n 3 "$REPLICA_LOG" | tr '\n' ' ')"; }
replica_stop() {
    [ -z "${REPLICA_PIDS[$1]:-}" ] || end_pid "${REPLICA_PIDS[$1]}"
    REPLICA_PIDS[$1]=
}

# replicas_start NAME [STORAGE-LINES] [EXTRA]: ends those before, and starts three that find nothing of theirs. With
# several S3 endpoints, each takes one of them in turn. Requests go to the front until `at` says otherwise.
replicas_start() {
    local i
    replicas_stop
    : >"$REPLICA_LOG"
    for ((i = 0; i < REPLICA_COUNT; i++)); do
        REPLICA_PORTS[i]=$(free_port)
        REPLICA_URLS[i]=http://127.0.0.1:${REPLICA_PORTS[i]}
        replica_config "$WORK/replica-$i.yml" "${REPLICA_PORTS[i]}" "$1" \
            "${S3_ENDPOINTS[i % (${#S3_ENDPOINTS[@]} ? ${#S3_ENDPOINTS[@]} : 1)]:-}" "${2:-}" "${3:-}"
        replica_spawn "$i"
    done
    for ((i = 0; i < REPLICA_COUNT; i++)); do replica_wait "$i"; done
    front_start
    at_front
}
replicas_stop() {
    local i
    [ -z "$FRONT_PID" ] || end_pid "$FRONT_PID"
    FRONT_PID=
    for i in "${!REPLICA_PIDS[@]}"; do replica_stop "$i"; done
}

# at NUMBER: requests go to this replica, counted round. at_front: to nginx.
at() { URL=${REPLICA_URLS[$1 % REPLICA_COUNT]} REG=${URL#http://}; }
at_front() { URL=$FRONT_URL REG=${URL#http://}; }

# front_start: plain round robin. One worker, because each counts for itself.
front_start() {
    local port server servers=''
    port=$(free_port)
    FRONT_URL=http://127.0.0.1:$port
    for server in "${REPLICA_PORTS[@]}"; do servers+="server 127.0.0.1:$server; "; done
    cat >"$WORK/front.conf" <<CONF
# The work directory is root's alone.
user root;
worker_processes 1;
pid $WORK/front.pid;
error_log $WORK/front.log;
daemon off;
events {}
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path $WORK/front-body;
    proxy_temp_path $WORK/front-proxy;
    fastcgi_temp_path $WORK/front-f;
    uwsgi_temp_path $WORK/front-u;
    scgi_temp_path $WORK/front-s;
    upstream replicas { $servers }
    server {
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_set_header Host \$http_host;
            proxy_set_header X-Forwarded-Proto \$scheme;
        }
    }
}
CONF
    nginx -c "$WORK/front.conf" -e "$WORK/front.log" </dev/null >>"$WORK/front.out" 2>&1 &
    FRONT_PID=$!
    CHILD_PIDS+=("$FRONT_PID")
    front_answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 2 "$FRONT_URL/v2/")" = 200 ]; }
    wait_for 10 front_answers || fail "nginx does not answer: $(cat "$WORK/front.out" "$WORK/front.log")"
}
