# The OCI conformance suites against the front. They look for the registry's headers in a blob's answer, which a store
# does not give: so without redirects.
# shellcheck shell=bash
if command -v conformance >/dev/null; then
    replicas_start conformance-main '  redirect: {disable: true}' "$PERMISSIVE"
    conformance_main
else
    left_out "the conformance suite with replicas: it is not on this machine"
fi
if command -v "$CONFORMANCE_RELEASE_BIN" >/dev/null; then
    replicas_start conformance-release '  redirect: {disable: true}' "$PERMISSIVE"
    conformance_release
else
    left_out "the conformance suite 1.1.1 with replicas: it is not on this machine"
fi
