//! Secrets are planted in every form in which a log may hold one, and must not come through.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(line: &str, want: &str) {
    assert_eq!(text(line), want);
}

#[test]
fn what_a_secret_name_is_given_goes() {
    check("S3_SECRET_KEY=abc next", "S3_SECRET_KEY=[redacted] next");
    check("password = \"a b\" # mine", "password = [redacted] # mine");
    check("password: correct horse battery", "password: [redacted]");
    check(r#"{"token":"a\"b","n":1}"#, r#"{"token":[redacted],"n":1}"#);
    check(r#""{\"token\":\"abc\",\"n\":1}""#, r#""{\"token\":\[redacted],\"n\":1}""#);
    check("Authorization: Basic YTpi, more", "Authorization: [redacted]");
    check("sent bearer abc to it", "sent bearer [redacted] to it");
    check("run --api-token abc --drain", "run --api-token [redacted] --drain");
    check("password: Some(Plain([secret]))", "password: [redacted]");
    check("X-Amz-Signature=abc&x=1 y", "X-Amz-Signature=[redacted] y");
    check("PGPASS=a PWD=b", "PGPASS=[redacted] PWD=[redacted]");
    check("key=a\nkey=b\n", "key=[redacted]\nkey=[redacted]\n");
    check("a => secret => b", "a => secret => [redacted]");
}

#[test]
fn addresses_keep_their_place_only() {
    check("at redis://:pa@ss@hub:6379/0 now", "at redis://[redacted]@hub:6379/0 now");
    check("PUT https://s3/b/k?X-Amz-Credential=a&sig=b failed", "PUT https://s3/b/k?[redacted] failed");
    check("'https://a@b/c?d' https://e/f", "'https://[redacted]@b/c?[redacted]' https://e/f");
}

#[test]
fn keys_go_wherever_they_stand() {
    let pem = "a\n-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1h\nYQ==\n-----END PRIVATE KEY-----\nb\n";
    check(pem, "a\n[redacted] private key\nb\n");
    check("eyJhbGciOiJFZERTQSJ9eyJzdWIiOiIxMjM0NTY3 x", "[redacted] x");
    check("line /wJalrXUtnFEMI7K7MDENG8bPxRfiCYEXAMPLE x", "line /[redacted] x");
    let endless = format!("-----BEGIN PRIVATE KEY-----\n{}after", "x\n".repeat(100));
    check(&endless, "[redacted] private key\nafter");
}

#[test]
fn what_is_no_secret_stays() {
    for line in [
        "cannot lease: connection refused",
        "task 01J8XZ7QK3M4N5P6R7S8T9V0W1 took 4.2 s (hls-ladder)",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05",
        "/var/lib/reelmill-agent/Films/A1/part/of/a/long/path/that/goes/on",
        "keyframes: every 2 s; monkeys=3",
        "s3://media/films/a.mov -> rtmp://host/live",
        "key.pem is in /var/lib/reelmill-agent",
        "5=5: a b",
    ] {
        check(line, line);
    }
}

#[test]
fn json_stays_json() {
    let value = json!({"farm": {"pairing_code": "ABC-123"}, "list": ["token=abc", 7, null], "name": "orin-3"});
    let want = json!({"farm": {"pairing_code": "[redacted]"}, "list": ["token=[redacted]", 7, null], "name": "orin-3"});
    assert_eq!(json(value), want);
}

proptest! {
    #[test]
    fn whatever_is_planted_does_not_come_through(
        secret in "[!#-&(-/0-9:;<=>?@A-Z^_a-z{|}~]{6,40}",
        name in "(S3_SECRET|password|TOKEN|api_key|db-passwd|Authorization|AWS_ACCESS_KEY|x\\.credential)",
        before in "[a-z ,:]{0,20}",
    ) {
        // What stands for a secret, or is a part of its own name, cannot be told from it.
        prop_assume!(!"[redacted]".contains(&secret) && !secret.starts_with([':', '=', '>']));
        for line in [
            format!("{before} {name}={secret}"),
            format!("{before} {name} = \"{secret}\", more"),
            format!("{before} {name}: {secret}"),
            format!("{{\"{name}\":\"{secret}\"}}"),
            format!("{before} {name}='{secret}'"),
            format!("{before} --{name} {secret} more"),
            format!("amqp://user:{secret}@hub/x"),
            format!("{before} https://s3/b/k?a=b&X-Amz-Signature={secret}"),
        ] {
            let told = text(&line);
            prop_assert!(!told.contains(&secret), "{line:?} became {told:?}");
        }
    }

    #[test]
    fn a_key_does_not_come_through_without_a_name(bytes in proptest::collection::vec(any::<u8>(), 32..64)) {
        use base64::Engine as _;
        let key = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let is_mixed = |part: &str| part.chars().any(|c| c.is_ascii_digit()) && part.chars().any(|c| c.is_ascii_lowercase())
            && part.chars().any(|c| c.is_ascii_uppercase());
        prop_assume!(!key.starts_with('/') && is_mixed(&key));
        let told = text(&format!("the key is {key} indeed"));
        // What follows may go too: the padding of a key whose last letters are `key` looks like an assignment.
        prop_assert!(!told.contains(&key) && told.starts_with("the key is [redacted]"), "{told}");
    }

    #[test]
    fn any_text_is_taken_and_redacted_only_once(any in "\\PC*|[\\x00-\\x7f]*") {
        let once = text(&any);
        prop_assert_eq!(text(&once), once);
    }
}
