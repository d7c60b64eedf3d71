# Authorities and certificates by openssl, of every kind that a test needs, in $CERTS.
# shellcheck shell=bash
CERTS=$WORK/certs
mkdir -p "$CERTS"

# authority NAME: $CERTS/NAME.crt and its key.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=authority $1" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$CERTS/$1.key" -out "$CERTS/$1.crt" 2>"$WORK/openssl.log" || fail "openssl: $(cat "$WORK/openssl.log")"
}

# certificate AUTHORITY NAME [FROM TO]: $CERTS/NAME.crt and its key, for localhost and 127.0.0.1 and
# for clients; good from yesterday to tomorrow unless told (YYYYMMDD).
certificate() {
    local by=$1 name=$2 from=${3:-$(date -u -d yesterday +%Y%m%d)} to=${4:-$(date -u -d tomorrow +%Y%m%d)}
    local home=$WORK/openssl
    mkdir -p "$home"
    : >"$home/index"
    cat >"$home/config" <<CONF
[ca]
default_ca = here
[here]
database = $home/index
rand_serial = yes
new_certs_dir = $home
default_md = sha256
policy = names
x509_extensions = extensions
[names]
commonName = supplied
[extensions]
subjectAltName = DNS:localhost,IP:127.0.0.1
extendedKeyUsage = serverAuth,clientAuth
CONF
    {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$CERTS/$name.key" -out "$home/request" &&
            openssl ca -batch -notext -config "$home/config" -cert "$CERTS/$by.crt" -keyfile "$CERTS/$by.key" \
                -startdate "${from}000000Z" -enddate "${to}235959Z" -in "$home/request" -out "$CERTS/$name.crt"
    } >"$WORK/openssl.log" 2>&1 || fail "openssl: $(cat "$WORK/openssl.log")"
}

# serial_of FILE: of the first certificate in it.
serial_of() { openssl x509 -noout -serial -in "$1"; }

# served_serial [S_CLIENT ARGUMENTS...]: of what a new connection is shown.
served_serial() { openssl s_client -connect "$REG" "$@" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
