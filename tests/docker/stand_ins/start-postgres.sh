#!/bin/sh
# Makes the database on its first start, as the public image does, then runs the server.
set -eu
data=/var/lib/postgresql/18/docker
if [ ! -e "$data/PG_VERSION" ]; then
    mkdir -p "$data"
    initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    pg_ctl --pgdata="$data" --options="-c listen_addresses='' -c unix_socket_directories=/tmp" --wait start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") createdb --host=/tmp --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --pgdata="$data" --wait stop
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
