#!/bin/sh
# Creates Temporal's databases in Postgres, or brings their schema to the version of this image. Safe to run again.
# Reads POSTGRES_SEEDS, POSTGRES_USER, DB_PORT and SQL_PASSWORD (the tool's own variable).
set -eu

tool() {
  database=$1
  shift
  temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p "$DB_PORT" -u "$POSTGRES_USER" --db "$database" "$@"
}

schema=/etc/temporal/schema/postgresql/v12

tool temporal create
tool temporal setup-schema -v 0.0
tool temporal update-schema -d "$schema/temporal/versioned"

tool temporal_visibility create
tool temporal_visibility setup-schema -v 0.0
tool temporal_visibility update-schema -d "$schema/visibility/versioned"
