//! What a Redis server says about itself, and what of it an operator should know.

/// The oldest version that has everything the scripts use (exclusive ranges in streams).
const OLDEST: (u32, u32) = (6, 2);

/// What is wrong with the server that wrote `info`, its answer to `INFO`.
pub(super) fn warnings(info: &str) -> Vec<String> {
    let fact = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut warnings = Vec::new();
    if let Some(version) = fact("redis_version").filter(|version| parse(version).is_some_and(|v| v < OLDEST)) {
        warnings.push(format!("Redis {version} is too old, {}.{} is the oldest that works", OLDEST.0, OLDEST.1));
    }
    if fact("aof_enabled") == Some("0") {
        warnings.push("it keeps no append-only file, and forgets tasks when it dies; set appendonly to yes".to_owned());
    }
    match (fact("maxmemory"), fact("maxmemory_policy")) {
        (Some(limit), Some(policy)) if limit != "0" && policy != "noeviction" => warnings.push(format!(
            "when its memory is full it drops keys ({policy}), and tasks with them; set maxmemory-policy to noeviction"
        )),
        _ => {}
    }
    if fact("role") == Some("slave") {
        warnings.push("it is a replica, which takes no writes; give the primary's address".to_owned());
    }
    warnings
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_of_what_loses_tasks() {
        let told = |version: &str, limit: &str, policy: &str, aof: &str, role: &str| {
            warnings(&format!(
                "# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n\r\n# Memory\r\nmaxmemory:{limit}\r\n\
                 maxmemory_human:0B\r\nmaxmemory_policy:{policy}\r\n# Persistence\r\nloading:0\r\naof_enabled:{aof}\r\n\
                 aof_rewrite_in_progress:0\r\n# Replication\r\nrole:{role}\r\n"
            ))
            .join("; ")
        };
        for (facts, parts) in [
            (("7.0.15", "0", "noeviction", "1", "master"), &[][..]),
            (("6.2.0", "0", "allkeys-lru", "1", "master"), &[]),
            (("7.0.15", "0", "noeviction", "0", "master"), &["keeps no append-only file"]),
            (("7.0.15", "1048576", "allkeys-lru", "1", "master"), &["drops keys (allkeys-lru)"]),
            (("5.0.14", "1048576", "noeviction", "1", "slave"), &["Redis 5.0.14 is too old, 6.2", "replica"]),
            (("unstable", "0", "", "", ""), &[]),
        ] {
            let told = told(facts.0, facts.1, facts.2, facts.3, facts.4);
            assert!(parts.iter().all(|part| told.contains(part)), "{facts:?}: {told}");
            assert_eq!(told.is_empty(), parts.is_empty(), "{facts:?}: {told}");
        }
    }
}
