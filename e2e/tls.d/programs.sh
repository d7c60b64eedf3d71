# docker, podman, skopeo and containerd on one machine, wharf on another, and between them only what the
# guides say: certs.d. (docker takes every certificate of a loopback address, so it has to be another.)
# shellcheck shell=bash
need docker podman skopeo containerd ctr
host_start registry.test 10
host_start workstation 11
registry=registry.test:5000
new_certificate machine registry.test
certificate clients workstation

# on_registry LINES: wharf on its machine.
on_registry() {
    server_stop
    : >"$SERVER_LOG"
    write_config "$SERVER_CONFIG" "$VOLUME" 5000 "  tls:
    certificate: $WORK/machine/domain.crt
    key: $WORK/machine/domain.key
${1:-}"
    sed -i "s/addr: 127.0.0.1:5000/addr: :5000/" "$SERVER_CONFIG"
    host_spawn registry.test "$SERVER_LOG" "$BINARY" serve "$SERVER_CONFIG"
    SERVER_PID=$SPAWNED_PID
    wait_for 10 grep -q 'listening on' "$SERVER_LOG" || fail "wharf does not listen: $(tail -n 3 "$SERVER_LOG")"
}
on_registry
at() { host workstation "$@"; }

# --- docker -----------------------------------------------------------------------------------
host_dockerd workstation
mkdir context
cp "$BUSYBOX" context/busybox
printf 'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\nCMD ["echo", "by TLS"]\n' >context/Dockerfile
at docker build -q -t "$registry/docker/app:one" context >build.log 2>&1 || fail "docker build: $(cat build.log)"
docker_pulls_anew() { at docker rmi -f "$registry/docker/app:one" >/dev/null && at docker pull -q "$registry/docker/app:one" >/dev/null; }

refused "docker push without the authority" at docker push "$registry/docker/app:one"
contains "and its reason" "$(cat refused.log)" "x509: certificate signed by unknown authority"
at mkdir -p "/etc/docker/certs.d/$registry"
at cp machine/ca.crt "/etc/docker/certs.d/$registry/ca.crt"
at docker push -q "$registry/docker/app:one" >push.log 2>&1 || fail "docker push: $(cat push.log)"
docker_pulls_anew || fail "docker pull"
same "docker pushes, pulls and runs" "by TLS" "$(at docker run --rm --network none "$registry/docker/app:one")"
# The certificate is renewed by its authority: nothing to do on the workstation.
new_certificate machine registry.test
kill -HUP "$SERVER_PID"
docker_pulls_anew || fail "docker pull after the certificate was renewed"
ok "docker pulls with the renewed certificate"

# --- podman and skopeo ------------------------------------------------------------------------
mkdir -p /etc/containers /etc/containerd
at mount -t tmpfs tmpfs /etc/containers
at mount -t tmpfs tmpfs /etc/containerd
at mkdir -p "/etc/containers/certs.d/$registry"
at tee /etc/containers/policy.json >/dev/null <<<'{"default":[{"type":"insecureAcceptAnything"}]}'
mkdir -p podman/tmp
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "%s"\n' "$WORK/podman/tmp" | at tee /etc/containers/containers.conf >/dev/null
layout_init src
image=$(layout_image src 'from the workstation')
layout_tag src "$image" "$OCI_MANIFEST" one
pm() { at podman --root "$WORK/podman/root" --runroot "$WORK/podman/run" --storage-driver vfs "$@"; }
pm pull -q oci:src:one >podman.id || fail "podman takes no layout"
refused "podman push without the authority" pm push -q "$(cat podman.id)" "docker://$registry/podman/app:one"
contains "and its reason" "$(cat refused.log)" "x509"
at cp machine/ca.crt "/etc/containers/certs.d/$registry/ca.crt"
pm push -q "$(cat podman.id)" "docker://$registry/podman/app:one" || fail "podman push"
pm rmi -f "$(cat podman.id)" >/dev/null
pm pull -q "$registry/podman/app:one" >podman.again || fail "podman pull"
same "podman pushes and pulls" "$(cat podman.id)" "$(cat podman.again)"
refused "skopeo with another authority" at skopeo inspect --cert-dir "$CERTS" "docker://$registry/none/app:one"
at skopeo copy -q --preserve-digests oci:src:one "docker://$registry/skopeo/app:one" || fail "skopeo copy"
mkdir cert-dir
cp machine/ca.crt cert-dir/
same "skopeo pushes by certs.d and asks by --cert-dir" "$image" \
    "$(at skopeo inspect --cert-dir "$WORK/cert-dir" --format '{{.Digest}}' "docker://$registry/skopeo/app:one")"

# --- containerd -------------------------------------------------------------------------------
host_containerd workstation
c() { ctr_of at "$@"; }
hosts=(--hosts-dir /etc/containerd/certs.d)
at mkdir -p "/etc/containerd/certs.d/$registry"
refused "containerd without the authority" c image pull "${hosts[@]}" "$registry/skopeo/app:one"
contains "and its reason" "$(cat refused.log)" "x509"
at cp machine/ca.crt "/etc/containerd/certs.d/$registry/ca.crt"
# The file as `wharf cert new` prints it.
sed -n "/cat > .*certs.d\/$registry\/hosts.toml/,/^    END/p" cert.log | sed -e '1d;$d' -e 's/^    //' >hosts.toml
contains "wharf cert new printed a hosts.toml" "$(cat hosts.toml)" "[host.\"https://$registry\"]"
at cp hosts.toml "/etc/containerd/certs.d/$registry/hosts.toml"
c image pull "${hosts[@]}" "$registry/skopeo/app:one" >ctr.log 2>&1 || fail "ctr image pull: $(tail -n 3 ctr.log)"
c image tag "$registry/skopeo/app:one" "$registry/containerd/app:one" >/dev/null
c image push "${hosts[@]}" "$registry/containerd/app:one" >ctr.log 2>&1 || fail "ctr image push: $(tail -n 3 ctr.log)"
same "containerd pulls and pushes" "$image" "$(at skopeo inspect --format '{{.Digest}}' "docker://$registry/containerd/app:one")"

# --- client certificates ----------------------------------------------------------------------
on_registry "    clientcas: [$CERTS/clients.crt]"
refused "docker without a client certificate" at docker push -q "$registry/docker/app:one"
at cp "$CERTS/workstation.crt" "/etc/docker/certs.d/$registry/client.cert"
at cp "$CERTS/workstation.key" "/etc/docker/certs.d/$registry/client.key"
at docker tag "$registry/docker/app:one" "$registry/docker/app:two"
at docker push -q "$registry/docker/app:two" >push.log 2>&1 || fail "docker push with a client certificate: $(cat push.log)"
docker_pulls_anew || fail "docker pull with a client certificate"
ok "docker pushes and pulls with a client certificate"
contains "the log names the client" "$(grep 'docker/app/manifests/two' "$SERVER_LOG")" workstation
refused "podman without a client certificate" pm pull -q "$registry/podman/app:one"
at cp "$CERTS/workstation.crt" "/etc/containers/certs.d/$registry/client.cert"
at cp "$CERTS/workstation.key" "/etc/containers/certs.d/$registry/client.key"
pm pull -q "$registry/podman/app:one" >/dev/null || fail "podman pull with a client certificate"
ok "podman pulls with a client certificate"
sed -i "s,^\( *\)ca = .*,&\n\1client = [[\"$CERTS/workstation.crt\"\, \"$CERTS/workstation.key\"]]," hosts.toml
refused "containerd without a client certificate" c image pull "${hosts[@]}" "$registry/podman/app:one"
at cp hosts.toml "/etc/containerd/certs.d/$registry/hosts.toml"
c image pull "${hosts[@]}" "$registry/podman/app:one" >ctr.log 2>&1 || fail "ctr image pull with a client certificate: $(tail -n 3 ctr.log)"
ok "containerd pulls with a client certificate"
