# proxy.remoteurl by the variables that Distribution has, with Distribution's file, and with an upstream that is not
# there when wharf starts.
# shellcheck shell=bash
server_stop
upstream_stop
VOLUME=$WORK/cache-remoteurl
SERVER_LOG=$WORK/mirror-remoteurl.log
SERVER_ENV=("REGISTRY_PROXY_REMOTEURL=$UPSTREAM_URL" "REGISTRY_PROXY_USERNAME=$UPSTREAM_USER" "REGISTRY_PROXY_PASSWORD=$UPSTREAM_PASSWORD")
server_start wharf
ok "wharf starts while the upstream is down"
expect_error 502 UNAVAILABLE "and says that it is" GET /v2/images/app/manifests/one "${accept[@]}"
upstream_start
pulls_layout "by proxy.remoteurl" src "$INDEX" images/app index
expect 200 "as containerd asks, of whatever" GET "/v2/images/app/manifests/index?ns=docker.io" "${accept[@]}"
expect_error 405 UNSUPPORTED "no repository takes pushes" POST /v2/any/thing/blobs/uploads/
upstream_stop
pulls_layout "by proxy.remoteurl, from here" src "$INDEX" images/app index
server_stop

# Distribution goes on with what wharf has kept, and the other way round. (2.8 logs in by tokens alone, so
# it asks where no login is needed.)
upstream_start
SERVER_ENV=("REGISTRY_PROXY_REMOTEURL=$ELSEWHERE")
server_start distribution
pulls_layout "Distribution's mirror on wharf's cache" src "$INDEX" images/app index
pulls_layout "and more" src "$IMAGE" images/app one
server_stop
server_start wharf
upstream_stop
pulls_layout "wharf's mirror on Distribution's cache" src "$IMAGE" images/app one
server_stop
# An empty one is none.
SERVER_ENV=(REGISTRY_PROXY_REMOTEURL=)
server_start wharf
push_layout src "$IMAGE" any/thing latest
ok "an empty remoteurl is no mirror"
server_stop
SERVER_ENV=()
upstream_start
