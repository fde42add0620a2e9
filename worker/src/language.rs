//! Languages as players understand them: what a source says (ISO 639-2 in most containers) into tags by BCP 47, and into
//! names for people.

mod codes;

/// The tag by BCP 47 for what a source says of a track: the shortest code there is (RFC 5646, 4.5). None where it says
/// nothing that a player could use.
pub fn tag(said: &str) -> Option<String> {
    let mut parts = said.trim().split(['-', '_']);
    let language = primary(&parts.next()?.to_ascii_lowercase())?;
    let rest: Option<Vec<String>> = parts.map(subtag).collect();
    // A language whose region cannot be read is still that language.
    Some([vec![language], rest.unwrap_or_default()].concat().join("-"))
}

/// The name of a tag's language in English, with the rest of the tag behind it: `English`, `Portuguese (BR)`.
pub fn name(tag: &str) -> String {
    let (language, rest) = tag.split_once('-').unwrap_or((tag, ""));
    let known = rows().find(|(short, ..)| *short == language).map_or(language, |(.., name)| name);
    if rest.is_empty() { known.to_owned() } else { format!("{known} ({rest})") }
}

/// The code of three letters for what a source says of a track (ISO 639-2): the terminological one and the bibliographic
/// one, which are the same for most. None where it says nothing that has one.
pub fn three_letters(said: &str) -> Option<(&'static str, &'static str)> {
    let tag = tag(said)?;
    let short = tag.split('-').next()?;
    let (_, long, _) = rows().find(|(known, ..)| *known == short)?;
    Some(long.split_once('/').unwrap_or((long, long)))
}

fn primary(code: &str) -> Option<String> {
    if !(2..=3).contains(&code.len()) || !code.bytes().all(|b| b.is_ascii_lowercase()) || code == UNDETERMINED {
        return None;
    }
    let shortest = rows().find(|(_, long, _)| long.split('/').any(|known| known == code)).map(|(short, ..)| short);
    Some(shortest.unwrap_or(code).to_owned())
}

/// What containers write that have to write something.
const UNDETERMINED: &str = "und";

/// Two letters, the codes of three letters, the name.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    codes::LANGUAGES.lines().filter_map(|line| {
        let (short, rest) = line.split_once(' ')?;
        let (long, name) = rest.split_once(' ')?;
        Some((short, long, name))
    })
}

/// Scripts begin with a capital, regions are capitals (RFC 5646, 2.1.1).
fn subtag(part: &str) -> Option<String> {
    let usable = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let lower = part.to_ascii_lowercase();
    usable.then(|| match part.len() {
        2 => part.to_ascii_uppercase(),
        4 if part.bytes().all(|b| b.is_ascii_alphabetic()) => lower[..1].to_ascii_uppercase() + &lower[1..],
        _ => lower,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn containers_are_told_three_letters() {
        assert_eq!(three_letters("de"), Some(("deu", "ger")));
        assert_eq!(three_letters("fre"), Some(("fra", "fre")));
        assert_eq!(three_letters("pt-BR"), Some(("por", "por")));
        assert_eq!((three_letters("und"), three_letters("")), (None, None));
    }

    #[test]
    fn both_codes_of_three_letters_become_two() {
        let table = [
            ("eng", "en"),
            ("deu", "de"),
            ("ger", "de"),
            ("FRE", "fr"),
            ("zho", "zh"),
            ("chi", "zh"),
            ("rum", "ro"),
            ("slv", "sl"),
        ];
        for (said, want) in table {
            assert_eq!(tag(said).as_deref(), Some(want), "{said}");
        }
    }

    #[test]
    fn what_is_a_tag_already_is_kept() {
        for valid in ["en", "fil", "gsw", "mul", "zxx", "pt-BR", "zh-Hant-TW", "es-419", "qaa"] {
            assert_eq!(tag(valid).as_deref(), Some(valid));
        }
        assert_eq!(tag("eng_us").as_deref(), Some("en-US"));
        assert_eq!(tag("ZH-hans").as_deref(), Some("zh-Hans"));
    }

    #[test]
    fn what_is_no_language_is_left_out() {
        for said in ["und", "UND", "", " ", "x", "english", "e\"g", "12", "en\u{e9}"] {
            assert_eq!(tag(said), None, "{said:?}");
        }
        assert_eq!(tag("en-\"x").as_deref(), Some("en"));
    }

    #[test]
    fn people_read_names() {
        assert_eq!(["en", "pt-BR", "gsw", "nb"].map(name), ["English", "Portuguese (BR)", "gsw", "Norwegian Bokmål"]);
    }

    #[test]
    fn the_table_is_whole_and_no_code_is_there_twice() {
        let mut seen = BTreeSet::new();
        for (short, long, name) in rows() {
            assert!(short.len() == 2 && name.starts_with(char::is_uppercase), "{short} {name}");
            assert!(seen.insert(short), "{short} twice");
            for code in long.split('/') {
                assert!(code.len() == 3 && seen.insert(code), "{code}");
            }
        }
        assert_eq!(codes::LANGUAGES.lines().count(), rows().count());
    }
}
