//! The document that is shown to people, and the examples in it.

use std::{fs, path::Path};

/// An example: what it is written in, what it is of, and its text.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) language: String,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The document's text.
pub(crate) fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/queues.md");
    fs::read_to_string(path).expect("the document is there")
}

/// Its blocks that have a name behind their language.
pub(crate) fn examples() -> Vec<Example> {
    let text = text();
    let mut examples = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((language, name)) = head.split_once(' ') {
            let (language, name) = (language.to_owned(), name.to_owned());
            examples.push(Example { language, name, text: block.join("\n") + "\n" });
        }
    }
    examples
}

/// The text of all examples of that name.
pub(crate) fn script(name: &str) -> String {
    let script: String = examples().into_iter().filter(|e| e.name == name).map(|e| e.text).collect();
    assert!(!script.is_empty(), "the document shows nothing of {name}");
    script
}
