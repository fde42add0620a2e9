# Makes a backup of the hub in DATA while it runs: its databases, the farm's authority, the keys and secrets; not the media.
# TARGET is a folder, for which the backup is encrypted to the keys in the file RECIPIENTS by age, or a repository of restic's.
# KEEP backups are kept. The time of the last good one goes into METRICS for Prometheus.
set -euo pipefail
umask 077
now=$(date +%s)
stage=$(mktemp -d "${CACHE_DIRECTORY:-/var/tmp}/stage.XXXXXX")
trap 'rm -rf "$stage"' EXIT

mkdir "$stage/hub"
for database in hub queue; do
  if [[ -e $DATA/$database.sqlite ]]; then
    # The hub goes on writing meanwhile; what comes out is one moment of it, and whole.
    sqlite3 -cmd '.timeout 60000' "$DATA/$database.sqlite" ".backup '$stage/hub/$database.sqlite'"
    if [[ $(sqlite3 "$stage/hub/$database.sqlite" 'PRAGMA integrity_check') != ok ]]; then
      echo "the backup of $DATA/$database.sqlite is damaged, and so is what it was made of" >&2
      echo "hint: keep the backups that are there; sqlite3 $DATA/$database.sqlite .recover" >&2
      exit 1
    fi
  fi
done
for part in ca keys secrets fleet trust.json operator.key operator.toml store.port fleet.port; do
  if [[ -e $DATA/$part ]]; then
    cp -a "$DATA/$part" "$stage/hub/"
  fi
done
if [[ ! -e $stage/hub/hub.sqlite ]]; then
  echo "there is nothing to back up: no hub.sqlite in $DATA" >&2
  echo "hint: has the hub ever run? systemctl status reelmill-hub" >&2
  exit 1
fi
if [[ -n ${POSTGRESQL_DATABASE:-} ]]; then
  pg_dump --format=custom --file="$stage/postgresql.dump" "$POSTGRESQL_DATABASE"
fi
sums=$(cd "$stage" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
printf '%s\n' "$sums" >"$stage/SHA256SUMS"

if [[ $TARGET == /* ]]; then
  name=reelmill-hub-$(date -u -d "@$now" +%Y%m%dT%H%M%SZ).tar.zst.age
  tar -C "$stage" --numeric-owner -cf - . | zstd -q | age --encrypt --recipients-file "$RECIPIENTS" -o "$TARGET/.$name.new"
  sync "$TARGET/.$name.new"
  mv "$TARGET/.$name.new" "$TARGET/$name"
  find "$TARGET" -maxdepth 1 -name '.reelmill-hub-*.new' -delete
  find "$TARGET" -maxdepth 1 -name 'reelmill-hub-*.tar.zst.age' -printf '%f\n' | sort -r | tail -n +"$((KEEP + 1))" |
    while read -r old; do rm -- "$TARGET/$old"; done
  echo "$TARGET/$name"
else
  export RESTIC_CACHE_DIR=${CACHE_DIRECTORY:-/var/tmp}/restic
  # One that is not there is made; anything else that is wrong with it shows again below.
  restic --repo "$TARGET" cat config >/dev/null 2>&1 || restic --repo "$TARGET" init
  (cd "$stage" && restic --repo "$TARGET" backup --host reelmill-hub --tag reelmill-hub .)
  restic --repo "$TARGET" forget --host reelmill-hub --tag reelmill-hub --group-by host,tags --keep-last "$KEEP" --prune
fi

cat >"$METRICS/.reelmill-backup.prom.new" <<END
# HELP reelmill_backup_last_success_timestamp_seconds When the last good backup of the hub was made.
# TYPE reelmill_backup_last_success_timestamp_seconds gauge
reelmill_backup_last_success_timestamp_seconds $now
END
chmod 0644 "$METRICS/.reelmill-backup.prom.new"
mv "$METRICS/.reelmill-backup.prom.new" "$METRICS/reelmill-backup.prom"
