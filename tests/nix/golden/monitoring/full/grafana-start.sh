draw() {
  if [ ! -s "/var/lib/grafana/$1" ]; then
    (umask 077; head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "/var/lib/grafana/$1.new")
    mv "/var/lib/grafana/$1.new" "/var/lib/grafana/$1"
  fi
}
draw secret-key
draw admin-password
