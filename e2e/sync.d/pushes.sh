# What is pushed is copied at once, and a job runs by itself.
# shellcheck shell=bash
DEBUG_PORT=$(free_port)
SERVER_ENV=("REGISTRY_HTTP_DEBUG_ADDR=127.0.0.1:$DEBUG_PORT" REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED=true)
serve_jobs "name: onpush, to: {$OTHER}, repositories: ['live/**'], tags: ['v*'], onpush: true" \
    "name: often, from: {$DISTRIBUTION}, repositories: [copied/team/app], tags: [v1.1.0], prefix: often, interval: 1s" \
    "name: dry, to: {$OTHER}, repositories: [left/alone], prefix: dry, interval: 1s, dryrun: true"
at_target_is() { [ "$(at_target "$1" "$2")" = "$3" ]; }
push_layout src "$INDEX" live/app v1
wait_for 20 at_target_is live/app v1 "$INDEX" || fail "a push was not copied: $(tail -n 5 "$SERVER_LOG")"
ok "a push is copied at once"
at_other pulls_layout "a push" src "$INDEX" live/app v1
push_layout src "$ONE" live/app test
push_layout src "$TWO" live/app v2
wait_for 20 at_target_is live/app v2 "$TWO" || fail "the next push was not copied"
at_other expect 404 "a push that is not chosen is not copied" GET /v2/live/app/manifests/test
here_is() { [ "$(digest_at "$URL" "$1" "$2")" = "$3" ]; }
wait_for 30 here_is often/copied/team/app v1.1.0 "$TWO" || fail "the job with an interval did not run: $(tail -n 5 "$SERVER_LOG")"
ok "a job runs by itself"
at_distribution push_layout src "$ONE" copied/team/app v1.1.0
wait_for 30 here_is often/copied/team/app v1.1.0 "$ONE" || fail "the job with an interval did not run again"
ok "and again"
would_copy() { grep -q 'would be copied' "$SERVER_LOG"; }
wait_for 30 would_copy || fail "the dry job said nothing"
at_other expect 404 "a dry job only says what it would copy" GET /v2/dry/left/alone/tags/list

curl -s "http://127.0.0.1:$DEBUG_PORT/metrics" >metrics.txt || fail "no metrics"
metric() { awk -v m="$1" '$1 == m { print $2 }' metrics.txt; }
same "the metrics count what was copied" 2 "$(metric 'wharf_sync_items_total{job="onpush",outcome="copied"}')"
same "and what waits" 0 "$(metric 'wharf_sync_queue_length{job="onpush"}')"
same "and no push was lost" 0 "$(metric 'wharf_sync_unqueued_total{job="onpush"}')"
[ "$(metric 'wharf_sync_copied_bytes_total{job="onpush"}' | cut -d. -f1)" -gt 500000 ] || fail "the bytes: $(grep wharf_sync metrics.txt)"
[ -n "$(metric 'wharf_sync_last_success_timestamp_seconds{job="often"}')" ] || fail "the last success: $(grep wharf_sync metrics.txt)"
ok "and bytes, and when a run ended well"
SERVER_ENV=()

# Beside the server.
with_jobs "name: onpush, to: {$OTHER}, repositories: ['live/**'], tags: ['v*'], onpush: true"
sync_command status >status.txt || fail "the status: $(cat status.txt)"
contains "the status names the job" "$(cat status.txt)" "onpush: to $OTHER_URL"
contains "with nothing queued" "$(cat status.txt)" "queued: 0"
same "and for programs" '0 to' "$(sync_command status --json | jq -r '.[0] | "\(.queued) \(.direction)"')"
