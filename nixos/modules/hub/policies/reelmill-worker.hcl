path "kv/data/reelmill/worker/*" {
  capabilities = ["read"]
}
