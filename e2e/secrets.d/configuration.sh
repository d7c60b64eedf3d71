# The configuration: printed, checked, and wrong in every way.
# shellcheck shell=bash

# configuration FILE LINES: looked at by every command that reads it.
looked_at=0
look_at() {
    local what=$1 environment=("${@:2}") command
    looked_at=$((looked_at + 1))
    for command in "config print" "config check" "config check --files" serve; do
        # shellcheck disable=SC2086 # words of a command
        timeout 20 env -i PATH="$PATH" ${environment[@]+"${environment[@]}"} "$BINARY" $command "$SERVER_CONFIG" </dev/null \
            >>"$SEEN/configuration-$looked_at" 2>&1 && [ "$command" = serve ] && fail "$what: that can be served"
    done
    [ -s "$SEEN/configuration-$looked_at" ] || fail "$what: not a word"
}
# with_lines WHAT LINES [VARIABLE=VALUE...]
with_lines() {
    write_config "$SERVER_CONFIG" "$VOLUME" 0 "$2"
    # An address that this machine does not have, so that nothing is served for long.
    sed -i "s,addr: 127.0.0.1:0,addr: 192.0.2.1:5000," "$SERVER_CONFIG"
    look_at "$1" "${@:3}"
}

# Everything at once and nothing wrong with it, but that the port can't be had.
write_config "$SERVER_CONFIG" "$VOLUME" 0 "  secret: $(secret HttpSecret)
notifications:
  endpoints:
    - name: hook
      url: http://$(secret HookUser):$(secret HookPassword)@127.0.0.1:9/events?token=$(secret HookQuery)
      headers: {Authorization: [Bearer $(secret HookHeader)], X-Token: [$(secret HookHeader2)]}
      secret: $(secret HookSigning)
health:
  http:
    - uri: http://$(secret HealthUser):$(secret HealthPassword)@127.0.0.1:9/health?token=$(secret HealthQuery)
      headers: {Authorization: [$(secret HealthHeader)]}
auth:
  token:
    realm: https://auth.example.com/token
    service: e2e
    issuer: e2e
    jwks: http://$(secret JwksUser):$(secret JwksPassword)@127.0.0.1:9/jwks?token=$(secret JwksQuery)"
sed -i 's/addr: 127.0.0.1:0/addr: 192.0.2.1:5000/' "$SERVER_CONFIG"
look_at "a whole configuration"
contains "config print shows where events go" "$(cat "$SEEN/configuration-1")" "127.0.0.1:9/events"
nothing_seen "a whole configuration, printed and checked"

# The same from variables.
sed -i '/notifications:/,$d' "$SERVER_CONFIG"
look_at "variables" "REGISTRY_HTTP_SECRET=$(secret EnvHttpSecret)" \
    "REGISTRY_NOTIFICATIONS_ENDPOINTS=[{name: hook, url: 'http://u:$(secret EnvHookPassword)@127.0.0.1:9/', headers: {A: [$(secret EnvHookHeader)]}, secret: $(secret EnvSigning)}]" \
    "REGISTRY_HEALTH_HTTP=[{uri: 'http://u:$(secret EnvHealth)@127.0.0.1:9/'}]"
look_at "an endpoint of traces with a user" "OTEL_EXPORTER_OTLP_ENDPOINT=http://u:$(secret OtelPassword)@127.0.0.1:9" \
    "OTEL_EXPORTER_OTLP_HEADERS=authorization=$(secret OtelHeader)"
look_at "headers of traces that are wrong" "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9" "OTEL_EXPORTER_OTLP_HEADERS=a b: $(secret OtelBad)"
contains "variables count" "$(cat "$SEEN/configuration-2")" "127.0.0.1:9"

# What is refused.
with_lines "storage of others" "storage:
  s3:
    accesskey: $(secret S3Access)
    secretkey: $(secret S3Secret)
    sessiontoken: $(secret S3Session)
    bucket: x
    region: y"
with_lines "redis, a proxy and mails" "redis:
  addrs: [127.0.0.1:6379]
  password: $(secret Redis)
  sentinelpassword: $(secret Sentinel)
proxy:
  remoteurl: https://u:$(secret ProxyUrl)@registry.example.com
  username: u
  password: $(secret Proxy)
log:
  hooks:
    - type: mail
      options: {smtp: {addr: '127.0.0.1:25', username: u, password: $(secret Smtp)}, from: a@b.example, to: [c@d.example]}"
with_lines "variables of what is refused" "" "REGISTRY_STORAGE_S3_SECRETKEY=$(secret EnvS3)" \
    "REGISTRY_REDIS_PASSWORD=$(secret EnvRedis)" "REGISTRY_PROXY_PASSWORD=$(secret EnvProxy)" \
    "REGISTRY_STORAGE_AZURE_ACCOUNTKEY=$(secret EnvAzure)"

# What is wrong.
hook() { printf 'notifications:\n  endpoints:\n    - name: hook\n      %s' "$1"; }
with_lines "a secret that is a list" "  secret: [$(secret List)]"
with_lines "a secret that is a map" "  secret: {a: $(secret Map)}"
with_lines "a quote that is not closed" "  secret: \"$(secret Quote)"
with_lines "two secrets" "  secret: $(secret Twice)
  secret: $(secret TwiceAgain)"
with_lines "a secret at a misspelled key" "  sekret: $(secret Misspelled)
  secrt: $(secret Misspelled2)"
with_lines "a secret that is not indented" " secret: $(secret Indent)
   : $(secret Indent2)"
with_lines "a tab before a secret" "	secret: $(secret Tab)"
with_lines "a URL with a port that is none" "$(hook "url: http://u:$(secret Port)@127.0.0.1:99999999/")"
with_lines "a URL of another kind" "$(hook "url: ftp://u:$(secret Ftp)@127.0.0.1/")"
with_lines "a URL without a host" "$(hook "url: http://u:$(secret NoHost)@/")"
with_lines "a URL with a space" "$(hook "url: 'http://u:$(secret Space) x@127.0.0.1/'")"
with_lines "a URL that is a list" "$(hook "url: [http://u:$(secret UrlList)@127.0.0.1/]")"
with_lines "headers that are a text" "$(hook "headers: $(secret HeadersText)")"
with_lines "headers of numbers and lists" "$(hook "headers: {A: [[$(secret HeadersList)]], B: $(secret HeadersList2)}")"
with_lines "a header that is none" "$(hook "headers: {'A B': [\"$(secret HeaderName)\\n\"], C: [\"$(secret HeaderValue)\\n\"]}")"
with_lines "a health check that is wrong" "health:
  http:
    - uri: htp//u:$(secret HealthUri)@x
      headers: $(secret HealthHeaders)"
with_lines "a key set at a URL that is wrong" "auth:
  token:
    realm: x
    service: e2e
    issuer: e2e
    jwks: http://u:$(secret JwksWrong)@127.0.0.1:99999999/"
key_set() { printf 'auth:\n  token:\n    realm: x\n    service: e2e\n    issuer: e2e\n    %s' "$1"; }
with_lines "a key set at a URL in capitals" "$(key_set "jwks: HTTP://u:$(secret JwksCapitals)@127.0.0.1:9/")"
with_lines "a key set at a URL of another kind" "$(key_set "jwks: ftp://u:$(secret JwksFtp)@127.0.0.1/")"
with_lines "a key set at a URL without slashes" "$(key_set "jwks: http:u:$(secret JwksSlashes)@127.0.0.1/")"
with_lines "a URL in a file's place" "$(key_set "rootcertbundle: https://u:$(secret BundleUrl)@127.0.0.1/")"
with_lines "a URL in the user file's place" "auth: {htpasswd: {realm: x, path: 'https://u:$(secret UsersUrl)@127.0.0.1/'}}"
with_lines "URLs in the certificates' places" "  tls:
    certificate: https://u:$(secret CertificateUrl)@127.0.0.1/
    key: https://u:$(secret KeyUrl)@127.0.0.1/
    clientcas: ['https://u:$(secret ClientCaUrl)@127.0.0.1/']"
with_lines "a URL in the place of a host" "  tls:
    letsencrypt:
      cachefile: $WORK/acme
      hosts: ['https://u:$(secret AcmeHost)@registry.example.com']"
with_lines "a host with a password" "  host: https://u:$(secret HostUrl)@registry.example.com"
with_lines "headers of answers are public, but not what is beside them" "  headers: {X: [y]}
  secret: $(secret Beside)
  nonsense: 1"
with_lines "variables that are wrong" "" "REGISTRY_HTTP_SECRET=[$(secret EnvList)]" "REGISTRY_NOTIFICATIONS_ENDPOINTS={$(secret EnvBroken)" \
    "REGISTRY_HEALTH_HTTP_0_HEADERS=$(secret EnvHeaders)" "REGISTRY_HTTP_SECRET_X=$(secret EnvDeeper)" "REGISTRY_HTTP_SEKRET=$(secret EnvMisspelled)"
nothing_seen "$looked_at configurations, most of them wrong"
