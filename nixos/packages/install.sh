# Makes a package in $out of the $programs whose $names it has, with the units of $folders below $units; those that start a
# program which the package has not are left out.
# Programs are copied, so that a package keeps nothing of the others alive, and that they find each other beside themselves.
# shellcheck shell=bash disable=SC2154
for name in $names; do
  install -Dm755 "$programs/bin/$name" "$out/bin/$name"
done

started() {
  grep -o "$out/bin/[a-z-]*" "$1" || true
}

for folder in $folders; do
  for file in "$units/$folder"/units/*; do
    [ -f "$file" ] || continue
    name=${file##*/}
    case $name in
    *.rules) to=$out/share/polkit-1/rules.d/$name ;;
    *.sysusers) to=$out/lib/sysusers.d/${name%.sysusers}.conf ;;
    *) to=$out/lib/systemd/system/$name ;;
    esac
    install -Dm644 "$file" "$to"
    sed -i "s#/usr/bin/reelmill#$out/bin/reelmill#g" "$to"
    for program in $(started "$to"); do
      [ -x "$program" ] || rm -f "$to"
    done
  done
done
