# Draws secrets: each line of TEMPLATES is a file's name below FOLDER and its text, in which `<<hexN>>` stands for N random bytes in
# hexadecimal digits, `<<NAME>>` for the content of the file NAME there, or of a file by its whole path, and `\n` for the end of a
# line. A file in which something was drawn is left as it is; the others hold nothing of their own and are made anew.
#   draw-secrets TEMPLATES FOLDER
set -euo pipefail
templates=$1 folder=$2
umask 077
mkdir -p "$folder"

# Which files are good: those that were made, or may stay.
declare -A written=()

hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# filled TEXT: with secrets in place of what stands for them
filled() {
  local rest=$1 out='' name
  while [[ $rest =~ ^([^<]*)\<\<([A-Za-z0-9._/-]+)\>\>(.*)$ ]]; do
    out+=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]} rest=${BASH_REMATCH[3]}
    if [[ $name =~ ^hex([0-9]+)$ ]]; then
      out+=$(hex "${BASH_REMATCH[1]}")
    elif [[ $name == /* && -r $name ]]; then
      out+=$(<"$name")
    elif [[ -r $folder/$name && -n ${written[$name]:-} ]]; then
      out+=$(<"$folder/$name")
    else
      return 1
    fi
  done
  printf '%s' "${out}${rest}"
}

# Files may name others that come later: as many rounds as there are lines are enough.
pending=$(wc -l <"$templates")
rounds=$((pending + 1))
while ((rounds-- > 0)); do
  while IFS=' ' read -r name text; do
    [[ -z ${written[$name]:-} ]] || continue
    if [[ -s $folder/$name && $text == *'<<hex'* ]]; then
      written[$name]=kept
      continue
    fi
    if ! text=$(filled "$text"); then
      continue
    fi
    # Whoever reads sees the whole or nothing, after a power cut too.
    printf '%b' "$text" >"$folder/.$name.new"
    sync "$folder/.$name.new"
    mv "$folder/.$name.new" "$folder/$name"
    written[$name]=made
  done <"$templates"
done
while IFS=' ' read -r name _; do
  if [[ -z ${written[$name]:-} ]]; then
    echo "cannot make the secret $folder/$name: it names a file that nobody makes" >&2
    echo "hint: look at services.reelmill.hub.workerEnvironment and generatedSecrets" >&2
    exit 1
  fi
done <"$templates"
