#!/bin/sh
# Makes the secrets of compose.yaml, once: docker/secrets/*. What is there already stays.
# The folder keeps others out. Its files are readable by all, since a container sees them with the owner they have here.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
[ -e secrets/database_url ] && { echo "docker/secrets is complete; nothing was changed"; exit; }

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

umask 022
random >secrets/postgres_password
random >secrets/redis_password
random >secrets/secret_key
redis=$(cat secrets/redis_password)
{
    echo "requirepass $redis"
    echo "dir /data"
    echo "appendonly yes"
    echo 'save ""'
    echo "maxmemory-policy noeviction"
} >secrets/redis_conf
echo "redis://:$redis@redis:6379/0" >secrets/redis_url
echo "postgresql://digits:$(cat secrets/postgres_password)@postgres:5432/digits" >secrets/database_url
echo "Made docker/secrets"
