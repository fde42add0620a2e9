# Makes the folders, keys and files that Harbor's containers want, below DATA, from the secrets that were drawn; what is there stays.
#   harbor-setup DATA SECRETS
# 10000 is the user of Harbor's images, 999 that of its database and Redis.
set -euo pipefail
data=$1 secrets=$2
umask 077
chown=${CHOWN-chown}

mkdir -p "$data"
chmod 0755 "$data"
for folder in registry ca_download job_logs trivy trivy/cache trivy/reports config config/registry; do
  mkdir -p "$data/$folder"
  $chown 10000:10000 "$data/$folder"
done
for folder in database redis; do
  mkdir -p "$data/$folder"
  $chown 999:999 "$data/$folder"
done

config=$data/config
if [[ ! -s $config/private_key.pem ]]; then
  openssl req -x509 -newkey rsa:4096 -nodes -days 3650 -subj "/CN=harbor" \
    -keyout "$config/private_key.pem.new" -out "$config/registry/root.crt" 2>/dev/null
  mv "$config/private_key.pem.new" "$config/private_key.pem"
fi
cp "$secrets/harbor-secretkey" "$config/secretkey"
cp "$secrets/harbor-jobservice.yml" "$config/jobservice.yml"
cp "$secrets/harbor-registry.yml" "$config/registry/config.yml"
htpasswd -niB harbor_registry_user <"$secrets/harbor-registry-password" >"$config/registry/passwd"
$chown -R 10000:10000 "$config"
