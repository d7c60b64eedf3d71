# Which tags, which platforms.
# shellcheck shell=bash
for version in 1.0.0 1.2.0 v1.9.0 1.10.0 2.0.0 1.3.0-rc.1 latest pr-17; do push_layout src "$ONE" chosen/app "$version"; done
tags_at_other() { at_other quietly expect 200 tags GET "/v2/$1/tags/list" && jq -r '.tags | sort | join(" ")' "$RESPONSE_BODY"; }
with_jobs "name: range, to: {$OTHER}, repositories: [chosen/app], semver: '>=1.2, <2', prefix: range" \
    "name: named, to: {$OTHER}, repositories: [chosen/app], tags: ['1.*'], tagregex: ['pr-[0-9]+'], prefix: named" \
    "name: few, to: {$OTHER}, repositories: [chosen/app], newest: 2, prefix: few"
syncs "tags are chosen in three ways"
same "by version" '1.10.0 1.2.0 v1.9.0' "$(tags_at_other range/chosen/app)"
same "by pattern and expression" '1.0.0 1.10.0 1.2.0 1.3.0-rc.1 pr-17' "$(tags_at_other named/chosen/app)"
same "the newest" 'latest pr-17' "$(tags_at_other few/chosen/app)"

with_jobs "name: platform, to: {$OTHER}, repositories: [team/app], tags: [multi], platforms: [linux/arm64], prefix: arm" \
    "name: amd, from: {$DISTRIBUTION}, repositories: [copied/team/app], tags: [multi], platforms: [linux/amd64], prefix: amd"
syncs "one platform of an index, to there and to here"
same "the index is what it was" "$INDEX" "$(at_target arm/team/app multi)"
at_other expect 200 "its image for arm64 is there" GET "/v2/arm/team/app/manifests/$TWO"
at_other expect 404 "the one for amd64 is not" GET "/v2/arm/team/app/manifests/$ONE"
same "the index is what it was here" "$INDEX" "$(digest_at "$URL" amd/copied/team/app multi)"
expect 200 "its image for amd64 is here" GET "/v2/amd/copied/team/app/manifests/$ONE"
expect 404 "the one for arm64 is not" GET "/v2/amd/copied/team/app/manifests/$TWO"
refused "a job that is not there" sync_command run nobody
contains "and those that are, are named" "$(sync_command run nobody 2>&1 || true)" "there are: platform, amd"
