# Names and pinned versions of everything that e2e/install brings.
# shellcheck shell=bash disable=SC2034
APT_PACKAGES=(
    docker.io podman skopeo buildah containerd runc crun iptables uidmap fuse-overlayfs
    docker-registry nginx-light wrk busybox-static jq curl ca-certificates e2fsprogs procps
    python3 openssl apache2-utils valgrind
    iproute2 docker-compose python3-yaml lintian
    prometheus redis-server redis-sentinel
)

# name, package, version; cosign comes last because it takes longest to build.
GO_PROGRAMS='crane github.com/google/go-containerregistry/cmd/crane v0.22.1
regctl github.com/regclient/regclient/cmd/regctl v0.11.7
conformance github.com/opencontainers/distribution-spec/conformance v0.0.0-20260831232431-97274622c111
oras oras.land/oras/cmd/oras v1.3.6
helm helm.sh/helm/v3/cmd/helm v3.22.0
pebble github.com/letsencrypt/pebble/v2/cmd/pebble v2.10.1
versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0
cosign github.com/sigstore/cosign/v3/cmd/cosign v3.1.3'

CONFORMANCE_MODULE=github.com/opencontainers/distribution-spec/conformance
# The tag v1.1.1 (2025-01-23) written as a pseudo-version: the module itself is not tagged.
CONFORMANCE_RELEASE_VERSION=v0.0.0-20250123160558-a139cc423184

GO_BUILD_LIMIT_SECS=900
NPM_LIMIT_SECS=300

# A Python package: the models that Grafana Labs generate from the schema of dashboards, of Grafana 10.1.
GRAFANA_MODELS=grafana-foundation-sdk==1769699998!10.1.0

CARGO_DEB_VERSION=3.8.0

# An object store like Azure's, from npm.
AZURITE_VERSION=3.37.0

# An S3 store for clusters, from crates.io. Its build takes so long that it must be asked for.
GARAGE_VERSION=2.5.0
GARAGE_BUILD_MINUTES=10
GARAGE_BUILD_LIMIT_SECS=2400
