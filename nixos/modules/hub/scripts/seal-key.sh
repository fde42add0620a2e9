# Draws a key of 32 bytes and keeps it in FILE as only systemd on this machine can read it, for LoadCredentialEncrypted. One that is
# there stays: without it the server's content is lost.
#   seal-key FILE [words for systemd-creds]
set -euo pipefail
file=$1
shift
if [[ -s $file ]]; then
  exit 0
fi
umask 077
head -c 32 /dev/urandom | systemd-creds encrypt --name=unseal "$@" - "$file.new"
sync "$file.new"
mv "$file.new" "$file"
