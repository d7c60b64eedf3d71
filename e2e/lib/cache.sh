# Where built programs are kept between runs: outside the work tree.
# shellcheck shell=bash disable=SC2034
E2E_CACHE=${WHARF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wharf-e2e}
E2E_BIN=$E2E_CACHE/bin
E2E_GRAFANA=$E2E_CACHE/grafana
E2E_AZURITE=$E2E_CACHE/azurite
case ":$PATH:" in *":$E2E_BIN:"*) ;; *) PATH=$E2E_BIN:$PATH:/usr/sbin:/sbin ;; esac
export PATH
