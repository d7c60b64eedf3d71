# deploy/compose/replicas.yml without the containers: its nginx.conf, its config.yml with the variables that it sets,
# and its commands, with only addresses, ports and paths replaced. Docker's name server is a stand-in that knows
# three replicas.
# shellcheck shell=bash
COMPOSED=$REPO_DIR/deploy/compose/replicas
mkdir -p composed/auth
"$(server_binary wharf)" cert new --out composed/certs localhost 127.0.0.1 >cert.log 2>&1 || fail "wharf cert new: $(cat cert.log)"
echo 'correct horse' | "$(server_binary wharf)" htpasswd add composed/auth/htpasswd alice >htpasswd.log 2>&1 || fail "wharf htpasswd: $(cat htpasswd.log)"

# composed_command SERVICE: what replicas.yml runs in it, as JSON.
composed_command() {
    "$YAML_PYTHON" -c 'import json, sys, yaml
print(json.dumps(yaml.safe_load(open(sys.argv[1]))["services"][sys.argv[2]]["command"]))' "$REPO_DIR/deploy/compose/replicas.yml" "$1" |
        sed 's/\$\$/$/g'
}
YAML_PYTHON=python3
[ ! -x /usr/bin/python3 ] || YAML_PYTHON=/usr/bin/python3 # where Debian has python3-yaml

redis_port=$(free_port)
if command -v redis-server >/dev/null && "$YAML_PYTHON" -c 'import yaml' 2>/dev/null; then
    redis_password=$(random_hex 32)
    composed_command redis | jq -r '.[2]' | sed "s/maxmemory-policy/port $redis_port\\\\nbind 127.0.0.1\\\\nmaxmemory-policy/" >composed/redis.sh
    grep -q "port $redis_port" composed/redis.sh || fail "the command of redis has no maxmemory-policy: $(cat composed/redis.sh)"
    store_spawn redis.log REDIS_PASSWORD="$redis_password" sh composed/redis.sh
    redis_pings() { [ "$(REDISCLI_AUTH=$redis_password redis-cli -p "$redis_port" ping)" = PONG ]; }
    # It is the last of a pipeline, and does not end with the shell that made it.
    redis_ends() { REDISCLI_AUTH=$redis_password redis-cli -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true; }
    CLEANUPS+=(redis_ends)
    wait_for 10 redis_pings || fail "redis does not start as replicas.yml says: $(cat redis.log)"
    contains "redis wants its password" "$(redis-cli -p "$redis_port" ping 2>&1)" NOAUTH
    [[ $(tr '\0' ' ' <"/proc/$STORE_PID/cmdline") != *"$redis_password"* ]] || fail "the password is among redis' arguments"
    ok "and shows it to nobody who lists processes"
else
    left_out "replicas.yml: no redis-server or no python3-yaml"
    return 0
fi

if store_is_here garage; then
    new_s3_keys
    S3_REGION=garage S3_ENDPOINT=http://127.0.0.1:$(free_port)
    sed -e "s,/var/lib/garage,$WORK/composed/garage," -e "s,0.0.0.0:3900,${S3_ENDPOINT#http://}," -e "s,:3901,:$(free_port)," \
        "$COMPOSED/garage.toml" >composed/garage.toml
    mapfile -t garage_command < <(composed_command garage | jq -r '.[1:][]')
    GARAGE_RPC_SECRET=$(random_hex 32)
    store_spawn garage.log GARAGE_RPC_SECRET="$GARAGE_RPC_SECRET" GARAGE_DEFAULT_ACCESS_KEY="$S3_ACCESS_KEY" \
        GARAGE_DEFAULT_SECRET_KEY="$S3_SECRET_KEY" GARAGE_DEFAULT_BUCKET="$S3_BUCKET" \
        garage -c "$WORK/composed/garage.toml" "${garage_command[@]}"
    garage_is_well() { GARAGE_RPC_SECRET=$GARAGE_RPC_SECRET garage -c "$WORK/composed/garage.toml" status; }
    wait_for 20 garage_is_well || fail "the health check of Garage: $(garage_is_well 2>&1 | tail -n 3)"
    s3 GET "$S3_BUCKET?list-type=2" >/dev/null || fail "Garage as replicas.yml starts it has no bucket: $(tail -n 3 garage.log)"
    ok "Garage starts as replicas.yml says"
else
    left_out "Garage as replicas.yml starts it: it is not on this machine (E2E_BUILD_GARAGE=1 e2e/install builds it)"
fi

# One port on three addresses of this machine, as containers have it.
replicas_stop
: >"$REPLICA_LOG"
port=$(free_port)
sed -e "s,http://garage:3900,$S3_ENDPOINT," -e "s,region: garage,region: $S3_REGION," -e "s,redis:6379,127.0.0.1:$redis_port," \
    -e "s,/auth/htpasswd,$WORK/composed/auth/htpasswd," "$COMPOSED/config.yml" >composed/config.yml
for number in 2 3 4; do
    sed "s,addr: \":5000\",addr: 127.0.0.$number:$port," composed/config.yml >"composed/config-$number.yml"
    SERVER_ENV=(REGISTRY_HTTP_SECRET="$REPLICA_SECRET" REGISTRY_STORAGE_S3_ACCESSKEY="$S3_ACCESS_KEY"
        REGISTRY_STORAGE_S3_SECRETKEY="$S3_SECRET_KEY" REGISTRY_REDIS_PASSWORD="$redis_password")
    SERVER_CONFIG=$WORK/composed/config-$number.yml SERVER_LOG=$REPLICA_LOG server_spawn "$(server_binary wharf)"
    REPLICA_PIDS[number - 2]=$SERVER_PID
    SERVER_ENV=()
    ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' --noproxy '*' "http://127.0.0.$1:$port/readyz")" = 200 ]; }
    wait_for 20 ready "$number" || fail "a replica of replicas.yml is not ready: $(tail -n 3 "$REPLICA_LOG")"
done

dns=$(free_port)
store_spawn dns.log python3 "$E2E_DIR/lib/dns.py" "$dns" wharf 127.0.0.2 127.0.0.3 127.0.0.4
front=$(free_port)
sed -e "s,listen 443 ssl,listen 127.0.0.1:$front ssl," -e "s,/certs/,$WORK/composed/certs/," \
    -e "s,resolver 127.0.0.11,resolver 127.0.0.1:$dns," -e "s,wharf:5000,wharf:$port," \
    -e "1i user root; daemon off; pid $WORK/front.pid;" -e "s,^http {,&\nclient_body_temp_path $WORK/front-body; proxy_temp_path $WORK/front-proxy; fastcgi_temp_path $WORK/front-f; uwsgi_temp_path $WORK/front-u; scgi_temp_path $WORK/front-s;," \
    "$COMPOSED/nginx.conf" >composed/nginx.conf
nginx -c "$WORK/composed/nginx.conf" -e "$WORK/front.log" </dev/null >>front.out 2>&1 &
FRONT_PID=$!
CHILD_PIDS+=("$FRONT_PID")
URL=https://127.0.0.1:$front REG=127.0.0.1:$front
printf 'cacert = %s\nuser = "alice:correct horse"\n' "$WORK/composed/certs/ca.crt" >composed/.curlrc
export CURL_HOME=$WORK/composed
wait_for 20 request_is 200 GET /v2/ || fail "nginx does not serve as replicas.yml says: $STATUS $(cat front.out front.log)"
expect 401 "nobody without a password" GET "$URL/v2/" -u alice:wrong

layout_init composed-images
BUSYBOX=$SMALL_IMAGE
image=$(layout_image composed-images 'by compose')
push_layout composed-images "$image" compose/app latest
pulls_layout "through nginx with TLS and users" composed-images "$image" compose/app latest
end_pid "${REPLICA_PIDS[1]}"
for ((i = 0; i < 12; i++)); do quietly expect 200 "with one gone" GET /v2/compose/app/manifests/latest -H "Accept: $OCI_MANIFEST"; done
ok "with one replica gone every request is answered"
redis_ends
if redis_pings 2>/dev/null; then fail "redis is still there"; fi
after=$(layout_image composed-images 'without Redis')
push_layout composed-images "$after" compose/app after
pulls_layout "without Redis" composed-images "$after" compose/app after
expect 200 "and the replicas are ready" GET /readyz
unset CURL_HOME
replicas_stop
