listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = "true"
}
storage "raft" {
  path = "/var/lib/vault"
  node_id = "hub"

}
ui = false
api_addr = "http://127.0.0.1:8200"
cluster_addr = "http://127.0.0.1:8201"

