# Makes of an OpenBao or a Vault what Reelmill needs: initialized, open, a key-value store (version 2) at kv/, roles and policies.
#   vault-setup URL FOLDER POLICIES
# At the first start the words that it tells only once go into FOLDER: `root-token`, and `recovery-key` or, where the server does not
# open itself, the key that opens it, as only systemd on this machine can read it. Without `root-token` nothing is changed any more.
set -euo pipefail
url=$1 folder=$2 policies=$3
umask 077

# api METHOD PATH [no-token]: its standard input is what is sent; no secret is an argument of a program.
api() {
  local answer code
  answer=$(curl --silent --show-error --max-time 60 --request "$1" --data-binary @- --write-out '\n%{http_code}' \
    --header @<([[ -n ${3:-} ]] || printf 'X-Vault-Token: %s\n' "$(<"$folder/root-token")") "$url/v1/$2")
  code=${answer##*$'\n'} answer=${answer%$'\n'*}
  if [[ $code == 404 ]]; then
    return 44
  elif [[ $code != 2* ]]; then
    echo "cannot $1 $2 at $url: status $code: $answer" >&2
    echo "hint: journalctl -u openbao -u vault" >&2
    return 1
  fi
  printf '%s\n' "$answer"
}

for _ in {1..60}; do
  if api GET sys/seal-status no-token </dev/null >/dev/null 2>&1; then break; fi
  sleep 1
done
status=$(api GET sys/seal-status no-token </dev/null)

if [[ $(jq .initialized <<<"$status") == false ]]; then
  if [[ $(jq -r .type <<<"$status") == shamir ]]; then
    words=$(api PUT sys/init no-token <<<'{"secret_shares": 1, "secret_threshold": 1}')
    jq -j '.keys_base64[0]' <<<"$words" |
      systemd-creds encrypt ${CREDS_KEY:+"--with-key=$CREDS_KEY"} --name=unseal - "$folder/unseal.cred.new"
    mv "$folder/unseal.cred.new" "$folder/unseal.cred"
  else
    words=$(api PUT sys/init no-token <<<'{"recovery_shares": 1, "recovery_threshold": 1}')
    jq -j '.recovery_keys_base64[0]' <<<"$words" >"$folder/recovery-key"
  fi
  jq -j .root_token <<<"$words" >"$folder/root-token"
  sync "$folder"
  status=$(api GET sys/seal-status no-token </dev/null)
fi
if [[ $(jq .sealed <<<"$status") == true && -e $folder/unseal.cred && $(jq -r .type <<<"$status") == shamir ]]; then
  systemd-creds decrypt --name=unseal "$folder/unseal.cred" - | jq -R '{key: .}' | api PUT sys/unseal no-token >/dev/null
fi

# It opens itself, and then takes a moment until it is the one that answers.
for _ in {1..60}; do
  if [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "$url/v1/sys/health") == 200 ]]; then break; fi
  sleep 1
done
if [[ ! -e $folder/root-token ]]; then
  echo "there is no $folder/root-token any more: what is in the server stays as it is"
  exit 0
fi

mounts=$(api GET sys/mounts </dev/null)
if [[ $(jq 'has("kv/") or (.data // {} | has("kv/"))' <<<"$mounts") == false ]]; then
  api POST sys/mounts/kv <<<'{"type": "kv", "options": {"version": "2"}}' >/dev/null
fi
for policy in "$policies"/*.hcl; do
  name=$(basename "$policy" .hcl)
  jq -n --rawfile policy "$policy" '{policy: $policy}' | api PUT "sys/policies/acl/$name" >/dev/null
done
ways=$(api GET sys/auth </dev/null)
if [[ $(jq 'has("approle/") or (.data // {} | has("approle/"))' <<<"$ways") == false ]]; then
  api POST sys/auth/approle <<<'{"type": "approle"}' >/dev/null
fi
for role in reelmill-hub reelmill-worker; do
  jq -n --arg role "$role" '{token_policies: [$role], token_ttl: "1h", token_max_ttl: "24h"}' |
    api POST "auth/approle/role/$role" >/dev/null
done
