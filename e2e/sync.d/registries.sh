# Three registries: the wharf under test, Distribution with a password, and another wharf. And the words
# for jobs between them.
# shellcheck shell=bash
REMOTE_USER=replicator REMOTE_PASSWORD=s3cret-of-the-job
htpasswd -Bbn "$REMOTE_USER" "$REMOTE_PASSWORD" >remote.users 2>/dev/null
mkdir as-replicator
printf 'user = "%s:%s"\n' "$REMOTE_USER" "$REMOTE_PASSWORD" >as-replicator/.curlrc

# distribution_start: on the same port as before. What server_start sets stays as it was.
distribution_start() {
    local SERVER_PID='' SERVER_CONFIG=$WORK/distribution.yml SERVER_LOG=$WORK/distribution.log
    local VOLUME=$WORK/distribution SERVER_ENV=() SERVER_READY_STATUS=401 SERVER_PORT=${DISTRIBUTION_PORT:-} PORT REG URL
    server_start distribution "auth:
  htpasswd:
    realm: remote
    path: $WORK/remote.users"
    DISTRIBUTION_PID=$SERVER_PID DISTRIBUTION_PORT=$PORT DISTRIBUTION_URL=$URL
}
distribution_stop() { end_pid "$DISTRIBUTION_PID"; }

# other_start: the second wharf, on the same port as before. It takes indexes whose children it does not have.
other_start() {
    local SERVER_PID='' SERVER_CONFIG=$WORK/other.yml SERVER_LOG=$WORK/other.log VOLUME=$WORK/other
    local SERVER_ENV=() SERVER_PORT=${OTHER_PORT:-} PORT REG URL
    server_start wharf "validation:
  manifests: {indexes: {platforms: none}}"
    OTHER_PID=$SERVER_PID OTHER_PORT=$PORT OTHER_URL=$URL
}
other_stop() { end_pid "$OTHER_PID"; }

# at_distribution COMMAND..., at_other COMMAND...: with raw requests going there.
at_distribution() {
    local URL=$DISTRIBUTION_URL
    local -x CURL_HOME=$WORK/as-replicator
    "$@"
}
at_other() {
    local URL=$OTHER_URL
    "$@"
}

distribution_start
other_start
DISTRIBUTION="url: $DISTRIBUTION_URL, username: $REMOTE_USER, password: $REMOTE_PASSWORD"
OTHER="url: $OTHER_URL"

# serve_jobs JOB...: the wharf under test, again, with these jobs: lines of flow YAML.
serve_jobs() {
    server_stop
    server_start wharf "$(jobs_of "$@")"
}
jobs_of() {
    printf 'sync:\n  jobs:\n'
    printf '    - {%s}\n' "$@"
}
# with_jobs JOB...: a configuration for commands alone, on the same storage, in jobs.yml.
with_jobs() { write_config jobs.yml "$VOLUME" "$PORT" "$(jobs_of "$@")"; }
# sync_command ARGUMENTS...
sync_command() { env -i PATH="$PATH" HOME="$WORK" timeout 120 "$BINARY" sync "$@" --config jobs.yml </dev/null; }
# syncs WHAT [JOB]: a run by hand that copies everything; the report is in report.json.
syncs() {
    local what=$1
    shift
    sync_command run --json "$@" >report.json 2>sync.log || fail "$what: $(cat report.json sync.log)"
    ok "$what ($(jq -r '[.[] | "\(.report.copied) copied, \(.report.skipped) there"] | join("; ")' report.json))"
}
# digest_at URL REPOSITORY REFERENCE [CURL ARGUMENTS]: what a tag names there; nothing if it is not there.
digest_at() {
    curl -s --head "${@:4}" -H "Accept: $OCI_MANIFEST, $OCI_INDEX, application/vnd.docker.distribution.manifest.v2+json" "$1/v2/$2/manifests/$3" |
        tr -d '\r' | awk -F': ' 'tolower($1) == "docker-content-digest" { print $2 }'
}
at_target() { digest_at "$OTHER_URL" "$@"; }
