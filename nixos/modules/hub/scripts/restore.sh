# Puts a backup of the hub back. The hub must be stopped, and the data folder must be empty or away.
#   reelmill-hub-restore BACKUP DATA [IDENTITY]
# BACKUP is a file that the backup made, and IDENTITY the file with the private key of age; or BACKUP is a repository of restic's
# (RESTIC_PASSWORD_FILE says its password), and the newest backup in it is taken. Run it as root: the files go to whom DATA belongs,
# or else to the user reelmill-hub.
set -euo pipefail
umask 077
if (($# < 2)); then
  echo "usage: reelmill-hub-restore BACKUP DATA [IDENTITY]" >&2
  exit 2
fi
backup=$1 data=$2 identity=${3:-}

if [[ -d $data ]]; then
  owner=$(stat -c %u:%g "$data")
else
  owner=$(id -u reelmill-hub):$(id -g reelmill-hub)
fi
if [[ -e $data/hub.lock ]] && ! flock --nonblock "$data/hub.lock" true; then
  echo "a hub uses $data" >&2
  echo "hint: systemctl stop reelmill-hub" >&2
  exit 1
fi
if [[ -e $data/hub.sqlite || -e $data/ca ]]; then
  echo "there is a hub in $data, and it is not overwritten" >&2
  echo "hint: mv $data $data.old, then try again" >&2
  exit 1
fi

stage=$(mktemp -d "$(dirname "$data")/.reelmill-restore.XXXXXX")
trap 'rm -rf "$stage"' EXIT
if [[ -f $backup ]]; then
  if [[ -z $identity ]]; then
    echo "cannot read $backup without the private key it was encrypted for" >&2
    echo "hint: give the file with it as the third word" >&2
    exit 2
  fi
  age --decrypt --identity "$identity" "$backup" | zstd -dq | tar -C "$stage" -xf -
else
  restic --repo "$backup" restore latest --host reelmill-hub --tag reelmill-hub --target "$stage"
fi
# All of it or nothing.
(cd "$stage" && sha256sum --quiet --strict --check SHA256SUMS)
mkdir -p "$data"
chmod 0700 "$data"
cp -a "$stage/hub/." "$data/"
chown -R "$owner" "$data"
if [[ -e $stage/postgresql.dump ]]; then
  cp "$stage/postgresql.dump" "$data/postgresql.dump"
  echo "PostgreSQL's part is in $data/postgresql.dump: put it back by pg_restore --clean --if-exists --dbname=reelmill-hub"
fi
echo "the hub of $(date -u -r "$stage/SHA256SUMS" +%Y-%m-%dT%H:%M:%SZ) is in $data; start it: systemctl start reelmill-hub"
