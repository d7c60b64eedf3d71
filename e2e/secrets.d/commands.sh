# Commands that are given passwords and URLs.
# shellcheck shell=bash
{
    "$BINARY" htpasswd verify users alice <password
    printf '%s\n' "$(secret VerifyWrong)" | "$BINARY" htpasswd verify users alice
    printf '%s\n' "$(secret NobodyPassword)" | "$BINARY" htpasswd verify users nobody
    printf '%s\n%s\n' "$(secret First)" "$(secret SecondLine)" | "$BINARY" htpasswd add --cost 4 users bob
    printf '%0100d%s\n' 0 "$(secret TooLong)" | "$BINARY" htpasswd add --cost 4 users carol
    "$BINARY" htpasswd list users
    "$BINARY" htpasswd remove users bob
    printf '%s\n' "$(secret NoFile)" | "$BINARY" htpasswd add --cost 4 "$WORK/none/at/all/users" bob
    "$BINARY" healthcheck "http://u:$(secret HealthcheckClosed)@127.0.0.1:$CLOSED_PORT/"
    "$BINARY" healthcheck "http://u:$(secret HealthcheckFails)@$HOOK/none"
    "$BINARY" healthcheck "htp//u:$(secret HealthcheckBad)@x"
} </dev/null >"$SEEN/commands" 2>&1 || true
[ "$(wc -l <"$SEEN/commands")" -ge 8 ] || fail "commands said too little: $(cat "$SEEN/commands")"
nothing_seen "commands"
