# docker, containerd, podman and skopeo on one machine, the mirror on another, by the files that `wharf
# mirror config` prints; Docker Hub and ghcr.io are two more, and nothing else is reached from there.
# shellcheck shell=bash
need docker dockerd podman skopeo containerd ctr openssl
server_stop
upstream_stop
host_start mirror.test 10
host_start hub.test 11
host_start ghcr.io 12
host_start workstation 13
at() { host workstation "$@"; }
for name in machine github; do
    host=mirror.test
    [ "$name" = machine ] || host=ghcr.io
    "$BINARY" cert new --out "$name" "$host" >cert.log 2>&1 || fail "wharf cert new: $(cat cert.log)"
done

# registry_on HOST PORT NAME PROGRAM VOLUME LINES: waits until it listens; LINES are more of http, or of the top.
registry_on() {
    local host=$1 port=$2 name=$3 program=$4 volume=$5
    write_config "$WORK/$name.yml" "$volume" "$port" "$6"
    sed -i "s/addr: 127.0.0.1:/addr: :/" "$WORK/$name.yml"
    : >"$WORK/$name.log"
    host_spawn "$host" "$WORK/$name.log" "$program" serve "$WORK/$name.yml"
    wait_for 10 grep -q 'listening on' "$WORK/$name.log" || fail "$name does not listen: $(tail -n 3 "$WORK/$name.log")"
}
tls() { printf '  tls:\n    certificate: %s\n    key: %s\n' "$WORK/$1/domain.crt" "$WORK/$1/domain.key"; }

# --- two registries --------------------------------------------------------------------------------
registry_on hub.test 5000 hub docker-registry "$WORK/upstream" "auth:
  htpasswd:
    realm: upstream
    path: $WORK/upstream.users"
HUB_PID=$SPAWNED_PID
# Its tokens come from a service of the same host. Without one, nothing is pulled.
mkdir tokens
openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout tokens/own.key -out tokens/own.crt -days 2 -subj /CN=own 2>openssl.log ||
    fail "openssl makes no key: $(cat openssl.log)"
printf '{"key": "own", "kid": "thumbprint"}' >tokens/mode
host_spawn ghcr.io "$WORK/tokens.log" python3 "$E2E_DIR/lib/token_server.py" serve "$WORK/tokens" "$WORK/github/domain.crt" "$WORK/github/domain.key"
wait_for 10 test -s tokens/port || fail "the token server does not start: $(cat tokens.log)"
registry_on ghcr.io 443 github "$BINARY" "$WORK/github-volume" "$(tls github)
auth:
  token:
    realm: https://ghcr.io:$(cat tokens/port)/auth
    service: e2e registry
    issuer: e2e issuer
    rootcertbundle: $WORK/tokens/own.crt"
GITHUB_PID=$SPAWNED_PID
mkdir -p /etc/containers /etc/containerd
at mount -t tmpfs tmpfs /etc/containers
at mount -t tmpfs tmpfs /etc/containerd
at tee /etc/containers/policy.json >/dev/null <<<'{"default":[{"type":"insecureAcceptAnything"}]}'
mkdir cert-dir hub
cp github/ca.crt cert-dir/
layout_init github-src
GITHUB_INDEX=$(layout_index github-src "$(layout_image github-src 'from github')" "$HOST_ARCH")
layout_tag src "$INDEX" "$OCI_INDEX" app
layout_tag github-src "$GITHUB_INDEX" "$OCI_INDEX" app
skopeo_in() { at skopeo copy -q --all "$@"; }
skopeo_in --dest-cert-dir "$WORK/cert-dir" --dest-creds "alice:alice's password" oci:github-src:app docker://ghcr.io/alice/app:one >skopeo.log 2>&1 ||
    fail "skopeo copy to ghcr.io: $(cat skopeo.log)"
skopeo_in --dest-tls-verify=false --dest-creds "$UPSTREAM_USER:$UPSTREAM_PASSWORD" oci:src:app docker://hub.test:5000/library/hello:one >skopeo.log 2>&1 ||
    fail "skopeo copy to hub.test: $(cat skopeo.log)"

# --- the mirror ------------------------------------------------------------------------------------
mirror_config="$(tls machine)
  host: https://mirror.test:5000
proxy:
  local: [team/**]
  upstreams:
    - url: http://hub.test:5000
      ns: [docker.io]
      library: true
      username: $UPSTREAM_USER
      password: $UPSTREAM_PASSWORD
    - prefix: ghcr.io
      url: https://ghcr.io
      username: bob
      password: bob's password
      tls:
        rootcas: [$WORK/github/ca.crt]"
registry_on mirror.test 5000 mirror "$BINARY" "$WORK/mirror-volume" "$mirror_config"

# What a user does with the output: each piece into the file that stands over it.
"$BINARY" mirror config mirror.yml >pieces 2>notes || fail "wharf mirror config: $(cat notes)"
awk '/^# \/etc\/.*\.(toml|conf|json)( |$)/ { file = "piece" ++n; print $2 > (file ".path"); next } file { print > file }' pieces
pieces=0
for path in piece*.path; do
    to=$(cat "$path")
    at mkdir -p "$(dirname "$to")"
    at cp "$WORK/${path%.path}" "$to"
    pieces=$((pieces + 1))
done
same "wharf mirror config prints files for all clients" 4 "$pieces"
# And the authority of the mirror's certificate where the output says.
grep -ho '/etc/[^" ]*\.crt' pieces notes | sort -u >authorities
while read -r to; do
    at mkdir -p "$(dirname "$to")"
    at cp "$WORK/machine/ca.crt" "$to"
done <authorities
at sed -i 's/^  # ca = /  ca = /' /etc/containerd/certs.d/docker.io/hosts.toml /etc/containerd/certs.d/ghcr.io/hosts.toml
same "it says where four clients look for the authority" 4 "$(wc -l <authorities)"

# --- docker ----------------------------------------------------------------------------------------
jq -e '."registry-mirrors"' <(at cat /etc/docker/daemon.json) >/dev/null || fail "daemon.json: $(at cat /etc/docker/daemon.json)"
host_dockerd workstation
docker_pulls() { at docker pull -q "$1" >docker.log 2>&1 || fail "docker pull $1: $(cat docker.log)"; }
# docker_runs WHAT IMAGE [WORDS]: pulled anew. Under any other name docker has it, it would only ask for the digest.
docker_runs() {
    local kept
    kept=$(at docker images -aq | sort -u)
    # shellcheck disable=SC2086
    [ -z "$kept" ] || at docker rmi -f $kept >/dev/null
    docker_pulls "$2"
    same "$1" "${3:-from upstream}" "$(at docker run --rm --network none "$2")"
}
docker_runs "docker pulls from Docker Hub through the mirror, and runs it" hello:one
contains "as library/hello" "$(cat mirror.log)" /v2/library/hello/manifests/one
docker_runs "by the mirror's name" mirror.test:5000/library/hello:one
docker_runs "without library/" mirror.test:5000/hello:one
# Forget who pushed.
: >github.log
docker_runs "ghcr.io by the mirror's name" mirror.test:5000/ghcr.io/alice/app:one 'from github'
same "for which the mirror has tokens of its user" bob \
    "$(grep -a 'alice/app' github.log | sed -n 's/.*auth.user.name=\([^ ]*\).*http.request.method=GET.*/\1/p' | sort -u)"
for name in team/hello library/other; do at docker tag mirror.test:5000/ghcr.io/alice/app:one "mirror.test:5000/$name:one"; done
refused "what is mirrored is not pushed to" at docker push mirror.test:5000/library/other:one
at docker push -q mirror.test:5000/team/hello:one >docker.log 2>&1 || fail "docker push to team/hello: $(cat docker.log)"
docker_runs "what is local is pushed and pulled" mirror.test:5000/team/hello:one 'from github'
refused "docker pull of what is nowhere" at docker pull mirror.test:5000/ghcr.io/alice/nothing:one
contains "and its message" "$(cat refused.log)" "manifest unknown"

# --- containerd --------------------------------------------------------------------------------------
host_containerd workstation
c() { ctr_of at "$@"; }
hosts=(--hosts-dir /etc/containerd/certs.d)
refused "containerd without hosts.toml" c image pull ghcr.io/alice/app:one
# index_of IMAGE: what its name stands for.
index_of() { case $1 in *alice*) printf '%s' "$GITHUB_INDEX" ;; *) printf '%s' "$INDEX" ;; esac; }
for image in docker.io/library/hello:one ghcr.io/alice/app:one; do
    c image pull "${hosts[@]}" "$image" >ctr.log 2>&1 || fail "ctr image pull $image: $(tail -n 3 ctr.log)"
    same "containerd pulls $image by hosts.toml" "$(index_of "$image")" "$(c image ls | awk -v i="$image" '$1 == i { print $3 }')"
done
contains "with ?ns=" "$(cat mirror.log)" "/v2/alice/app/manifests/one?ns=ghcr.io"
at curl -s --cacert machine/ca.crt -D heads -o /dev/null "https://mirror.test:5000/v2/alice/app/manifests/one?ns=ghcr.io" "${accept[@]}"
contains "the answer has the namespace" "$(tr 'A-Z' 'a-z' <heads)" "oci-namespace: ghcr.io"

# --- podman and skopeo ---------------------------------------------------------------------------------
mkdir -p podman/tmp
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "%s"\n' "$WORK/podman/tmp" | at tee /etc/containers/containers.conf >/dev/null
pm() { at podman --root "$WORK/podman/root" --runroot "$WORK/podman/run" --storage-driver vfs "$@"; }
for image in docker.io/library/hello:one ghcr.io/alice/app:one mirror.test:5000/ghcr.io/alice/app:one; do
    pm pull -q "$image" >podman.log 2>&1 || fail "podman pull $image: $(tail -n 3 podman.log)"
    ok "podman pulls $image"
    # The list of tags, which `inspect` asks for unless told not to, is not asked of mirrors.
    same "skopeo has its digest" "$(index_of "$image")" "$(at skopeo inspect --no-tags --format '{{.Digest}}' "docker://$image")"
done
at skopeo copy -q --all docker://ghcr.io/alice/app:one oci:out:one >skopeo.log 2>&1 || fail "skopeo copy: $(cat skopeo.log)"
same "skopeo copies an index through the mirror" "$GITHUB_INDEX" "$(jq -r '.manifests[0].digest' out/index.json)"

# --- and without the two -------------------------------------------------------------------------------
end_pid "$HUB_PID"
end_pid "$GITHUB_PID"
docker_runs "docker pulls when Docker Hub is gone" hello:one
c image rm --sync ghcr.io/alice/app:one >/dev/null
c image pull "${hosts[@]}" ghcr.io/alice/app:one >ctr.log 2>&1 || fail "ctr image pull: $(tail -n 3 ctr.log)"
ok "containerd when ghcr.io is"
pm rmi -f -a >/dev/null 2>&1 || true
pm pull -q ghcr.io/alice/app:one >podman.log 2>&1 || fail "podman pull: $(tail -n 3 podman.log)"
ok "and podman"
at curl -s --cacert machine/ca.crt -D heads -o /dev/null https://mirror.test:5000/v2/library/hello/manifests/one "${accept[@]}"
contains "the tag is marked" "$(tr 'A-Z' 'a-z' <heads)" "warning: 110"
