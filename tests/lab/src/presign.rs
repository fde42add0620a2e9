//! Presigned addresses of the S3 server: who has one needs no key. Signature version 4, as the store checks it.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::s3::{ACCESS_KEY, BUCKET, SECRET_KEY, Server};

/// How long an address holds, seconds.
const HOLDS: u32 = 600;
/// As long as a block of SHA-256, which an HMAC is made by.
const BLOCK: usize = 64;

impl Server {
    /// An address that takes one object of [`BUCKET`] by `PUT`. The key is of letters, digits, `-`, `.` and `/`.
    pub fn presigned_put(&self, key: &str) -> String {
        self.presigned("PUT", key, Timestamp::now())
    }

    /// The same for another method, or as if it had been signed at another time.
    pub fn presigned(&self, method: &str, key: &str, at: Timestamp) -> String {
        let host = self.endpoint.split("://").nth(1).expect("an address");
        let (day, time) = (at.strftime("%Y%m%d").to_string(), at.strftime("%Y%m%dT%H%M%SZ").to_string());
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let credential = format!("{ACCESS_KEY}/{scope}").replace('/', "%2F");
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={time}&X-Amz-Expires={HOLDS}\
             &X-Amz-SignedHeaders=host"
        );
        let request = format!("{method}\n/{BUCKET}/{key}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let first = format!("AWS4{SECRET_KEY}").into_bytes();
        let words = [day.as_str(), "us-east-1", "s3", "aws4_request", &to_sign];
        let signature = words.iter().fold(first, |key, word| hmac(&key, word.as_bytes()));
        format!("{}/{BUCKET}/{key}?{query}&X-Amz-Signature={}", self.endpoint, hex(&signature))
    }
}

/// HMAC by RFC 2104; no key here is longer than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> {
        let mut block = key.to_vec();
        block.resize(BLOCK, 0);
        block.iter().map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::digest([&padded(0x36)[..], text].concat());
    Sha256::digest([&padded(0x5c)[..], &inner].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231.
    #[test]
    fn an_hmac_is_as_the_rfc_has_it() {
        let got = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(got, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
