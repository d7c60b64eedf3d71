# Object stores on free loopback ports, each with an empty bucket or container "registry" and keys of its own.
# Ask store_is_here before start_*. What they start is ended with the script.
# shellcheck shell=bash disable=SC2034

# Of the S3 store that was started last: URL, keys, and for a cluster the URLs and pids of its nodes.
S3_ENDPOINT='' S3_ACCESS_KEY='' S3_SECRET_KEY='' S3_ENDPOINTS=() S3_PIDS=()
S3_BUCKET=registry
S3_REGION=us-east-1
AZURE_ENDPOINT='' AZURE_ACCOUNT=wharf AZURE_KEY='' AZURE_CONTAINER=registry
GCS_ENDPOINT='' GCS_BUCKET=registry

# How long a store may take until it answers. Azurite's program is read from disk file by file.
STORE_READY_SECS=60

random_hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# store_is_here garage|s3|azurite|gcs: whether this machine has it.
store_is_here() {
    case $1 in
    garage) command -v garage >/dev/null ;;
    s3 | gcs) command -v versitygw >/dev/null ;;
    azurite) [ -x "$E2E_AZURITE/node_modules/.bin/azurite-blob" ] && command -v node >/dev/null ;;
    *) fail "no store is called $1" ;;
    esac
}

# store_spawn LOG COMMAND...: in the background, with nothing of this environment but what is named. Sets STORE_PID.
store_spawn() {
    local log=$1
    shift
    env -i PATH="$PATH" HOME="$WORK" "$@" </dev/null >>"$log" 2>&1 &
    STORE_PID=$!
    CHILD_PIDS+=("$STORE_PID")
}
# store_ready NAME LOG COMMAND...: until the command succeeds.
store_ready() {
    local name=$1 log=$2
    shift 2
    wait_for "$STORE_READY_SECS" "$@" || fail "$name is not ready after $STORE_READY_SECS s: $(tail -n 3 "$log" | tr '\n' ' ')"
}

# s3 METHOD PATH [CURL ARGUMENTS...]: a signed request; the keys are not among the arguments, where ps shows them.
s3() {
    local method=$1 path=$2
    shift 2
    curl -sS --fail-with-body --max-time 60 --noproxy '*' -X "$method" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
        --aws-sigv4 "aws:amz:$S3_REGION:s3" \
        -K <(printf 'user = "%s:%s"\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY") "$@" "$S3_ENDPOINT/$path"
}
new_s3_keys() {
    S3_ACCESS_KEY=GK$(random_hex 12)
    S3_SECRET_KEY=$(random_hex 32)
}

# start_s3 DIR: versitygw, a gateway to a directory.
start_s3() {
    new_s3_keys
    # Its own directory for what S3 knows of an object: not every file system has attributes.
    mkdir -p "$1"/{objects,metadata}
    S3_ENDPOINT=http://127.0.0.1:$(free_port) S3_ENDPOINTS=("$S3_ENDPOINT")
    s3_spawn "$1"
    s3 PUT "$S3_BUCKET" >/dev/null || fail "versitygw: the bucket cannot be made"
}
# s3_spawn DIR: on the same port with the same keys and data, also after it was ended.
s3_spawn() {
    store_spawn "$1/s3.log" ROOT_ACCESS_KEY="$S3_ACCESS_KEY" ROOT_SECRET_KEY="$S3_SECRET_KEY" \
        versitygw --port "${S3_ENDPOINT#http://}" --region "$S3_REGION" --quiet posix --sidecar "$1/metadata" "$1/objects"
    S3_PIDS=("$STORE_PID")
    store_ready versitygw "$1/s3.log" s3 GET ''
}

# garage_config DIR S3-PORT RPC-PORT SECRET COPIES
garage_config() {
    mkdir -p "$1"
    cat >"$1/garage.toml" <<TOML
metadata_dir = "$1/meta"
data_dir = "$1/data"
db_engine = "sqlite"
replication_factor = $5
rpc_bind_addr = "127.0.0.1:$3"
rpc_public_addr = "127.0.0.1:$3"
rpc_secret = "$4"
[s3_api]
s3_region = "$S3_REGION"
api_bind_addr = "127.0.0.1:$2"
TOML
    chmod 600 "$1/garage.toml"
}

# start_garage DIR: one node.
start_garage() {
    local port
    port=$(free_port)
    new_s3_keys
    garage_config "$1" "$port" "$(free_port)" "$(random_hex 32)" 1
    store_spawn "$1/garage.log" GARAGE_DEFAULT_ACCESS_KEY="$S3_ACCESS_KEY" GARAGE_DEFAULT_SECRET_KEY="$S3_SECRET_KEY" \
        GARAGE_DEFAULT_BUCKET="$S3_BUCKET" garage -c "$1/garage.toml" server --single-node --default-bucket
    S3_ENDPOINT=http://127.0.0.1:$port S3_ENDPOINTS=("$S3_ENDPOINT") S3_PIDS=("$STORE_PID")
    store_ready Garage "$1/garage.log" s3 GET "$S3_BUCKET?list-type=2"
}

# start_garage_cluster DIR: three nodes, each with all the data, each an endpoint of its own.
start_garage_cluster() {
    local node secret port nodes=()
    new_s3_keys
    secret=$(random_hex 32)
    S3_ENDPOINTS=() S3_PIDS=()
    for node in 1 2 3; do
        port=$(free_port)
        garage_config "$1/$node" "$port" "$(free_port)" "$secret" 3
        S3_ENDPOINTS+=("http://127.0.0.1:$port")
        garage_node_start "$1" "$node"
    done
    for node in 1 2 3; do
        garage_says() { nodes[node]=$(garage -c "$1/$node/garage.toml" node id -q 2>/dev/null); }
        store_ready "Garage $node" "$1/$node/garage.log" garage_says "$1"
    done
    S3_ENDPOINT=${S3_ENDPOINTS[0]}
    local do=(garage_do "$1/1")
    store_ready "Garage 1" "$1/1/garage.log" "${do[@]}" status
    for node in 2 3; do "${do[@]}" node connect "${nodes[node]}" || fail "Garage: node $node cannot be connected: $(cat "$1/1/cli.log")"; done
    for node in 1 2 3; do "${do[@]}" layout assign -z dc1 -c 1G "${nodes[node]%%@*}" || fail "Garage: $(cat "$1/1/cli.log")"; done
    "${do[@]}" layout apply --version 1 || fail "Garage: $(cat "$1/1/cli.log")"
    store_ready "Garage's layout" "$1/1/cli.log" "${do[@]}" key import --yes -n e2e "$S3_ACCESS_KEY" "$S3_SECRET_KEY"
    "${do[@]}" bucket create "$S3_BUCKET" || fail "Garage: $(cat "$1/1/cli.log")"
    "${do[@]}" bucket allow --read --write --owner "$S3_BUCKET" --key "$S3_ACCESS_KEY" || fail "Garage: $(cat "$1/1/cli.log")"
    for S3_ENDPOINT in "${S3_ENDPOINTS[@]}"; do store_ready "Garage at $S3_ENDPOINT" "$1/1/garage.log" s3 GET "$S3_BUCKET?list-type=2"; done
    S3_ENDPOINT=${S3_ENDPOINTS[0]}
}
# garage_do NODE-DIR COMMAND...: Garage's own command line.
garage_do() {
    local dir=$1
    shift
    timeout 30 garage -c "$dir/garage.toml" "$@" </dev/null >"$dir/cli.log" 2>&1
}
# garage_node_start DIR NODE: of a cluster, also after it was ended. S3_PIDS[NODE - 1] is its pid.
garage_node_start() {
    store_spawn "$1/$2/garage.log" garage -c "$1/$2/garage.toml" server
    S3_PIDS[$2 - 1]=$STORE_PID
}

# azure METHOD PATH [FILE]: a signed request.
azure() { "$PYTHON" "$E2E_DIR/lib/azure.py" "$1" "$AZURE_ENDPOINT/$2" "$AZURE_ACCOUNT" "$AZURE_KEY" "${@:3}"; }
PYTHON=${PYTHON:-python3}

# start_azurite DIR: Azure Blob. The endpoint has the account in its path.
start_azurite() {
    local port
    port=$(free_port)
    mkdir -p "$1"
    AZURE_KEY=$(head -c 64 /dev/urandom | base64 -w 0)
    # It asks which versions the client speaks, and knows fewer than the newest clients.
    store_spawn "$1/azurite.log" AZURITE_ACCOUNTS="$AZURE_ACCOUNT:$AZURE_KEY" node "$E2E_AZURITE/node_modules/.bin/azurite-blob" \
        --blobHost 127.0.0.1 --blobPort "$port" --location "$1" --silent --skipApiVersionCheck --disableTelemetry
    AZURE_ENDPOINT=http://127.0.0.1:$port/$AZURE_ACCOUNT
    store_ready Azurite "$1/azurite.log" azure GET '?comp=list'
    azure PUT "$AZURE_CONTAINER?restype=container" >"$1/container.log" || fail "Azurite: the container cannot be made: $(cat "$1/container.log")"
}

# start_gcs DIR: what Google Cloud Storage has over S3, in front of an S3 store. (fake-gcs-server has neither the
# multipart uploads of the XML API nor its plain PUT.)
start_gcs() {
    local port dir=$1 S3_ENDPOINT S3_ENDPOINTS S3_PIDS S3_ACCESS_KEY S3_SECRET_KEY S3_BUCKET=$GCS_BUCKET
    start_s3 "$dir"
    port=$(free_port)
    store_spawn "$dir/gcs.log" S3_ACCESS_KEY="$S3_ACCESS_KEY" S3_SECRET_KEY="$S3_SECRET_KEY" \
        python3 "$E2E_DIR/lib/gcs.py" "$port" "$S3_ENDPOINT" "$S3_REGION"
    GCS_ENDPOINT=http://127.0.0.1:$port
    store_ready "the GCS stand-in" "$dir/gcs.log" curl -sf --noproxy '*' "$GCS_ENDPOINT/$GCS_BUCKET?list-type=2"
}
