#!/bin/sh
# Main process of a data node until it becomes the server: decides as what this server starts.
#
# In mode Replication a starting server is never primary by itself, however it died and whatever it holds:
#   1. Sentinels name another host      -> start as its replica;
#   2. Sentinels name this host         -> its server is down, so ask for a failover at once, then 1;
#   3. nobody knows, or it stays so     -> start fenced, as the replica of nobody; the operator decides.
#
# Needs: CARNELIAN_PROGRAM (valkey or redis), CARNELIAN_MODE, CARNELIAN_HOST (this pod's name in DNS),
#        CARNELIAN_MASTER_NAME (mode Replication). Tests move the folders: CARNELIAN_CONFIG, _CREDENTIALS, _RUN.
set -eu
umask 077

config=${CARNELIAN_CONFIG:-/etc/carnelian/config}
credentials=${CARNELIAN_CREDENTIALS:-/etc/carnelian/credentials}
run=${CARNELIAN_RUN:-/run/carnelian}
sentinel_port=26379
server_port=6379
nobody="127.0.0.1 1"
failover_seconds=10

say() {
    printf 'start.sh: %s\n' "$*" >&2
}

# ask HOST WORD...: one question to one Sentinel; the answer on standard output, nothing when there is none.
# The password travels in the environment: arguments are visible to everyone on the node.
ask() {
    ask_host=$1
    shift
    REDISCLI_AUTH=$password VALKEYCLI_AUTH=$password timeout 2 "$CARNELIAN_PROGRAM-cli" \
        -h "$ask_host" -p "$sentinel_port" --user replication --no-auth-warning --raw "$@" 2>/dev/null || true
}

# named_primary: the host that a majority of all Sentinels names, or nothing. Asks all of them at once.
named_primary() {
    rm -f "$run"/answer.*
    total=0
    for host in $sentinels; do
        ask "$host" SENTINEL GET-MASTER-ADDR-BY-NAME "$CARNELIAN_MASTER_NAME" >"$run/answer.$total" &
        total=$((total + 1))
    done
    wait
    # The first line of an answer is a host name; errors contain spaces or capitals.
    head -q -n 1 "$run"/answer.* 2>/dev/null | grep -x '[a-z0-9][a-z0-9.-]*' | sort | uniq -c | sort -rn | head -n 1 |
        while read -r count host; do
            if [ $((2 * count)) -gt "$total" ]; then printf '%s\n' "$host"; fi
        done
}

# hand_over: this host is named but its server is down; have another one promoted and print its name.
hand_over() {
    for host in $sentinels; do
        if [ "$(ask "$host" SENTINEL FAILOVER "$CARNELIAN_MASTER_NAME")" = OK ]; then
            say "was primary; asked $host for a failover"
            break
        fi
    done
    deadline=$(($(date +%s) + failover_seconds))
    while [ "$(date +%s)" -lt "$deadline" ]; do
        named=$(named_primary)
        if [ -n "$named" ] && [ "$named" != "$CARNELIAN_HOST" ]; then
            printf '%s\n' "$named"
            return
        fi
        sleep 0.2
    done
}

# choose_primary: whom to follow, as "host port".
choose_primary() {
    named=$(named_primary)
    if [ "$named" = "$CARNELIAN_HOST" ]; then named=$(hand_over); fi
    if [ -n "$named" ]; then
        say "starting as replica of $named"
        printf '%s %s\n' "$named" "$server_port"
    else
        say "no primary is known; starting fenced until the operator decides"
        printf '%s\n' "$nobody"
    fi
}

{
    printf 'include %s/server.conf\n' "$config"
    printf 'include %s/server-auth.conf\n' "$credentials"
    if [ "$CARNELIAN_MODE" = Replication ]; then
        sentinels=$(cat "$config/sentinels")
        password=$(cat "$credentials/replication-password")
        printf 'replica-announce-ip %s\n' "$CARNELIAN_HOST"
        primary=$(choose_primary)
        printf 'replicaof %s\n' "$primary"
        # Sentinel would promote a replica that never had a link, with whatever old data or none it holds. So it may not
        # choose this one until the operator has seen it in step. A fenced one follows nobody that Sentinel watches.
        if [ "$primary" != "$nobody" ]; then printf 'replica-priority 0\n'; fi
    fi
} >"$run/server.conf"

exec "$CARNELIAN_PROGRAM-server" "$run/server.conf"
