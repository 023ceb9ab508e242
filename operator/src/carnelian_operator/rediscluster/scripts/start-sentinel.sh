#!/bin/sh
# Main process of a Sentinel until it becomes one. A Sentinel starts without a primary to watch: the operator, which
# has the record, tells it. What it was told survives a restart of the container in /data.
#
# Needs: CARNELIAN_PROGRAM (valkey or redis), CARNELIAN_HOST (this pod's name in DNS), CARNELIAN_UID (the instance's).
# Tests move the folders: CARNELIAN_CONFIG, CARNELIAN_CREDENTIALS, CARNELIAN_DATA.
set -eu
umask 077

config=${CARNELIAN_CONFIG:-/etc/carnelian/config}
credentials=${CARNELIAN_CREDENTIALS:-/etc/carnelian/credentials}
state=${CARNELIAN_DATA:-/data}/sentinel.conf

if [ ! -s "$state" ]; then
    # The same name has the same identity for ever, or each new pod would count as one more Sentinel in majorities.
    identity=$(printf '%s/%s' "$CARNELIAN_UID" "$CARNELIAN_HOST" | sha1sum | cut -c 1-40)
    {
        cat "$config/sentinel.conf" "$credentials/sentinel-auth.conf"
        printf 'sentinel announce-ip %s\n' "$CARNELIAN_HOST"
        printf 'sentinel announce-port 26379\n'
        printf 'sentinel myid %s\n' "$identity"
    } >"$state.new"
    mv "$state.new" "$state"
fi

exec "$CARNELIAN_PROGRAM-server" "$state" --sentinel
