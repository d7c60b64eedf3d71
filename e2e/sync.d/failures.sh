# A target that is away, a server that is killed in the middle, a target that refuses.
# shellcheck shell=bash
other_stop
push_layout src "$ONE" live/app v3
status_of() { sync_command status --json "$@" 2>/dev/null || true; }
is_queued() { [ "$(status_of | jq '.[0].queued')" -gt 0 ] && [ "$(status_of | jq -r '.[0].oldest.error')" != null ]; }
wait_for 20 is_queued || fail "the push is not queued: $(status_of)"
contains "a push waits for its target, and why" "$(status_of | jq -r '.[0].oldest.error')" "$OTHER_PORT"
kill -KILL "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null || true
SERVER_PID=
other_start
serve_jobs "name: onpush, to: {$OTHER}, repositories: ['live/**'], tags: ['v*'], onpush: true"
wait_for 120 at_target_is live/app v3 "$ONE" || fail "what was queued was not gone on with: $(status_of)"
ok "it is gone on with by the next server, after a kill"
server_stop

# Killed in the middle of many, slowly; the run after it sends only what is missing.
server_start wharf
layout_init many
for number in 1 2 3 4 5 6; do
    digest=$(layout_image many "many $number")
    push_layout many "$digest" many/app "n$number"
done
slow="name: slow, to: {$OTHER}, repositories: [many/app], concurrency: 1"
with_jobs "$slow, bandwidth: 500KiB"
env -i PATH="$PATH" HOME="$WORK" "$BINARY" sync run slow --config jobs.yml </dev/null >killed.log 2>&1 &
killed=$!
CHILD_PIDS+=("$killed")
some_are_there() { [ -n "$(at_target many/app n1)" ] || [ -n "$(at_target many/app n2)" ] || [ -n "$(at_target many/app n6)" ]; }
wait_for 60 some_are_there || fail "nothing was copied: $(cat killed.log)"
kill -KILL "$killed" 2>/dev/null || fail "the run was over before it could be killed"
wait "$killed" 2>/dev/null || true
same "the queue has the rest" true "$(status_of | jq '.[0].queued > 0')"
with_jobs "$slow"
freed() { sync_command run --json slow >report.json 2>sync.log; }
wait_for 150 freed || fail "the run after the kill: $(cat report.json sync.log)"
ok "a run that was killed is gone on with"
same "with what is missing" true "$(jq '.[0].report.copied < 6' report.json)"
for number in 1 2 3 4 5 6; do
    same "n$number is there" "$(digest_at "$URL" many/app "n$number")" "$(at_target many/app "n$number")"
done
same "and nothing is queued" 0 "$(status_of | jq '.[0].queued')"

# The limit on bandwidth holds.
head -c 3000000 /dev/urandom >large
push_blob paced/app large
printf '{}' >config.json
push_blob paced/app config.json
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":3000000}]}' \
    "$OCI_MANIFEST" "$(digest_of config.json)" "$(digest_of large)" >paced.json
push_manifest paced/app v1 paced.json "$OCI_MANIFEST"
with_jobs "name: paced, to: {$OTHER}, repositories: [paced/app], bandwidth: 1MB"
before=$(date +%s%N)
syncs "a large blob at a limited pace"
took=$((($(date +%s%N) - before) / 1000000))
[ "$took" -ge 1700 ] || fail "3 MB at 1 MB/s took $took ms"
ok "takes as long as it has to ($took ms)"

# A password that is wrong: nothing is copied, and it is said why.
with_jobs "name: wrong, to: {url: $DISTRIBUTION_URL, username: $REMOTE_USER, password: not-this}, repositories: [left/alone]"
code=0
sync_command run wrong >wrong.txt 2>&1 || code=$?
same "a wrong password ends with 1" 1 "$code"
contains "with the reason" "$(cat wrong.txt)" "left/alone"
! grep -rq "not-this\|$REMOTE_PASSWORD" wrong.txt sync.log "$SERVER_LOG" || fail "a password is shown"
ok "and no password is shown"

# Read-only mode holds for jobs, too.
with_jobs "name: back, from: {$DISTRIBUTION}, repositories: [copied/renamed], prefix: never"
env -i PATH="$PATH" HOME="$WORK" "$BINARY" readonly on --reason moving --config jobs.yml >readonly.log 2>&1 || fail "readonly on: $(cat readonly.log)"
code=0
sync_command run back >readonly.txt 2>&1 || code=$?
same "nothing is copied to here in read-only mode" 2 "$code"
contains "with the reason" "$(cat readonly.txt)" moving
env -i PATH="$PATH" HOME="$WORK" "$BINARY" readonly off --config jobs.yml >readonly.log 2>&1 || fail "readonly off: $(cat readonly.log)"
syncs "and afterwards it is" back
server_alive "after all"
