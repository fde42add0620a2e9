//! Numbers of a preset that have bounds: parsed once, never wrong afterwards.

/// A number that is taken only if it passes a test; `$refusal` says of `{n}` what it is not.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($number:ty), $unit:literal, |$n:ident| $fits:expr, $refusal:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = $unit, into = $unit)]
        pub struct $name($number);

        impl $name {
            /// The number.
            pub fn get(self) -> $number {
                self.0
            }
        }

        impl TryFrom<$number> for $name {
            type Error = String;

            fn try_from($n: $number) -> Result<Self, Self::Error> {
                if $fits { Ok(Self($n)) } else { Err(format!($refusal, n = $n)) }
            }
        }

        impl From<$name> for $number {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    };
}

pub(super) use bounded;
