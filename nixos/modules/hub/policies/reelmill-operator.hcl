path "kv/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
