path "kv/data/reelmill/hub/*" {
  capabilities = ["read"]
}
