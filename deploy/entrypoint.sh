#!/bin/sh
# Runs a command with settings from files: CITADEL_TOKEN_FILE=/run/secrets/api_token becomes
# CITADEL_TOKEN with what the file holds. A secret then stands in no file of the deployment.
set -eu

for name in $(env | sed -n 's/^\(CITADEL_[A-Z_]*\)_FILE=.*/\1/p'); do
    eval "file=\$${name}_FILE"
    if [ ! -r "$file" ]; then
        echo "citadel: ${name}_FILE names $file, which cannot be read" >&2
        exit 2
    fi
    value=$(cat "$file")
    export "$name=$value"
    unset "${name}_FILE"
done

exec "$@"
