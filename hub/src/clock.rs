//! The time of day, as the API writes it.

/// Now, RFC 3339, UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    #[test]
    fn now_is_rfc_3339_to_the_millisecond() {
        let now = super::now();
        assert!(now.len() == 24 && now.ends_with('Z') && now.parse::<jiff::Timestamp>().is_ok(), "{now}");
    }
}
