# Here to Distribution by `wharf sync run`, from there to a second name here, and on to the other wharf.
# shellcheck shell=bash
server_start wharf
layout_init src
ONE=$(layout_image src 'sync one' amd64)
TWO=$(layout_image src 'sync two' arm64)
INDEX=$(layout_index src "$ONE" amd64 "$TWO" arm64)
SHA512=$(layout_image src 'sync sha512' "$HOST_ARCH" sha512)
push_layout src "$ONE" team/app v1.0.0
push_layout src "$TWO" team/app v1.1.0
push_layout src "$INDEX" team/app multi
push_layout src "$ONE" team/other latest
push_layout src "$ONE" left/alone latest

with_jobs "name: out, to: {$DISTRIBUTION}, repositories: ['team/*'], prefix: copied, rewrite: [{from: team/other, to: renamed}]"
sync_command run --dry-run >dry.txt 2>sync.log || fail "the dry run: $(cat sync.log)"
contains "a dry run says what it would copy" "$(cat dry.txt)" "would copy team/app:v1.0.0 to copied/team/app (new"
contains "and how much" "$(cat dry.txt)" "4 of 4 tags in 2 repositories would be copied"
at_distribution expect 404 "and copies nothing" GET /v2/copied/team/app/tags/list

syncs "everything is copied to Distribution" out
same "four images" 4 "$(jq '.[0].report.copied' report.json)"
printf '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
for tag in v1.0.0 v1.1.0 multi; do
    skopeo --policy policy.json inspect --raw --creds "$REMOTE_USER:$REMOTE_PASSWORD" --tls-verify=false "docker://127.0.0.1:$DISTRIBUTION_PORT/copied/team/app:$tag" >raw.json
    skopeo --policy policy.json inspect --raw --tls-verify=false "docker://$REG/team/app:$tag" >own.json
    same_file "$tag is the same by skopeo" raw.json own.json
done
at_distribution pulls_layout "at Distribution" src "$INDEX" copied/team/app multi
at_distribution pulls_layout "renamed" src "$ONE" copied/renamed latest
at_distribution expect 404 "what is not chosen stays" GET /v2/copied/left/alone/tags/list
if command -v crane >/dev/null; then
    env DOCKER_CONFIG="$WORK/crane" crane auth login "127.0.0.1:$DISTRIBUTION_PORT" -u "$REMOTE_USER" -p "$REMOTE_PASSWORD" >crane.log 2>&1 || fail "crane auth login: $(cat crane.log)"
    same "the same digest by crane" "$INDEX" "$(env DOCKER_CONFIG="$WORK/crane" crane digest --insecure "127.0.0.1:$DISTRIBUTION_PORT/copied/team/app:multi")"
    env DOCKER_CONFIG="$WORK/crane" crane validate --insecure --remote "127.0.0.1:$DISTRIBUTION_PORT/copied/team/app:multi" >crane.log 2>&1 || fail "crane validate: $(cat crane.log)"
    ok "crane finds it whole"
else
    left_out "crane is not on this machine"
fi

syncs "once more" out
same "nothing is left to copy" '0 0' "$(jq -r '.[0].report | "\(.copied) \(.blobs)"' report.json)"
push_layout src "$TWO" team/app v1.0.0
sync_command run --dry-run --json out >dry.json || fail "the dry run"
same "a tag that moved" 'v1.0.0 moved' "$(jq -r '.[0].plan.items[] | "\(.reference) \(.reason)"' dry.json)"
syncs "is copied" out
same "without a blob, which are all there" '1 0' "$(jq -r '.[0].report | "\(.copied) \(.blobs)"' report.json)"
same "and moved there" "$TWO" "$(digest_at "$DISTRIBUTION_URL" copied/team/app v1.0.0 -u "$REMOTE_USER:$REMOTE_PASSWORD")"

# Back, by a pattern that needs Distribution's catalog.
with_jobs "name: back, from: {$DISTRIBUTION}, repositories: ['copied/**'], rewrite: [{from: copied, to: back}]"
syncs "everything is copied from Distribution" back
pulls_layout "back again" src "$INDEX" back/team/app multi
pulls_layout "back again" src "$TWO" back/team/app v1.0.0
pulls_layout "back again" src "$ONE" back/renamed latest
same "what was here already was not fetched" 0 "$(jq '.[0].report.blobs' report.json)"

# sha512 goes where it is known.
push_layout src "$SHA512" team/long latest
with_jobs "name: long, to: {$OTHER}, repositories: [team/long]"
syncs "an image by sha512 is copied to another wharf" long
at_other pulls_layout "at the other wharf" src "$SHA512" team/long latest
same "the digest is the same" "$(digest_at "$URL" team/long latest)" "$(at_target team/long latest)"
