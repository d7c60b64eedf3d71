# One soak on one store.
# shellcheck shell=bash

# soak_storage GRACE INTERVAL: what stands below "storage:" besides the driver.
soak_storage() {
    cat <<YAML
    gc: {enabled: true, interval: $2, grace: ${1}s, untagged: true}
YAML
}

# deleted_by_collections: how many blobs, of all collections that came to their end.
deleted_by_collections() { sed -n 's/.*garbage collection finished.* blobs=\([0-9]*\) .*/\1/p' "$REPLICA_LOG" | awk '{ n += $1 } END { print n + 0 }'; }
collections() { grep -a 'garbage collection finished' "$REPLICA_LOG" | grep -ao 'blobs=[0-9]*' | awk -F= '{ n += $2 } END { print n + 0 }'; }
collections() { grep -ac 'garbage collection finished' "$REPLICA_LOG" || true; }

# kill_one FIRST: a replica from FIRST on, at random, which is started again.
kill_one() {
    local victim=$(($1 + RANDOM % (REPLICA_COUNT - $1)))
    kill -KILL "${REPLICA_PIDS[victim]}"
    wait "${REPLICA_PIDS[victim]}" 2>/dev/null || true
    sleep "0.$((RANDOM % 10))"
    replica_spawn "$victim"
    replica_wait "$victim"
}

# soak NAME SECONDS GRACE INTERVAL DELETED: INTERVAL is that of all but the first replica, which
# collects all the time, and is killed as well if all do. Where fewer blobs were
# deleted than DELETED, nothing was shown.
soak() {
    local name=$1 seconds=$2 grace=$3 interval=$4 wanted=$5 kills=0 first=0 code=0 worker deleted
    replicas_start "$name" "$(soak_storage "$grace" "$interval")"
    if [ "$interval" != 1s ]; then
        # The first is not killed, and nobody else begins before it.
        first=1
        replica_stop 0
        sed -i "s/interval: $interval/interval: 1s/" "$WORK/replica-0.yml"
        replica_spawn 0
        replica_wait 0
    fi
    mkdir -p "$WORK/$name"
    python3 "$E2E_DIR/soak.d/soak.py" run "$WORK/$name/ledger" "${REPLICA_URLS[@]#http://}" --front "${FRONT_URL#http://}" \
        --seconds "$seconds" --grace "$grace" --seed "$SEED" --home "$WORK/$name" >"$WORK/$name/run.log" 2>&1 &
    worker=$!
    CHILD_PIDS+=("$worker")
    # Until shortly before the end of it.
    local end=$((SECONDS + seconds - 2))
    while [ "$SECONDS" -lt "$end" ] && kill -0 "$worker" 2>/dev/null; do
        sleep "$((1 + RANDOM % 3)).$((RANDOM % 10))"
        kill_one "$first"
        kills=$((kills + 1))
    done
    wait "$worker" || code=$?
    sed "s/^/$name: /" "$WORK/$name/run.log"
    [ "$code" = 0 ] || fail "$name: $(grep -m 1 BROKEN "$WORK/$name/run.log" || tail -n 1 "$WORK/$name/run.log")"
    ok "$name: no push fails, while $kills replicas are killed and $(collections) collections delete $(deleted_by_collections) blobs"
    replicas_stop
    ! grep -a -m 3 -e ' ERROR ' -e 'level=error' "$REPLICA_LOG" || fail "$name: a server has logged an error"
    deleted=$(deleted_by_collections)
    [ "$deleted" -ge "$wanted" ] || fail "$name: the collections have deleted $deleted blobs and not $wanted, which shows nothing"
    soak_end "$name"
}

