//! What a Cargo.toml says of its package's dependencies. Reads the forms that people write, not all of TOML.

/// A package and what it depends on, in any way: for itself, its build, one platform or its tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The folder, relative to the repository.
    pub(super) folder: String,
    /// The package's name.
    pub(super) name: String,
    /// The packages it depends on.
    pub(super) dependencies: Vec<Dependency>,
}

/// One package that another depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Whether only the tests of the other need it.
    pub(super) for_tests: bool,
}

/// Where in the file a line stands.
enum Section {
    Package,
    /// A table with a dependency a line.
    Dependencies {
        for_tests: bool,
    },
    /// A table of one dependency.
    Dependency,
    Other,
}

impl Manifest {
    /// Reads the text of `folder/Cargo.toml`.
    pub(super) fn parse(folder: &str, text: &str) -> Self {
        let mut manifest = Self { folder: folder.to_owned(), ..Self::default() };
        let mut section = Section::Other;
        for line in text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
                section = manifest.enter(header);
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                manifest.take(&section, key.trim(), value.trim());
            }
        }
        manifest
    }

    fn enter(&mut self, header: &str) -> Section {
        let header = header.trim_matches(['[', ' ']);
        let (before, last) = header.rsplit_once('.').unwrap_or(("", header));
        match (before, last, for_tests(last), for_tests(before.rsplit('.').next().unwrap_or_default())) {
            ("", "package", ..) => Section::Package,
            // What the root offers to all is not yet a dependency.
            ("workspace", ..) => Section::Other,
            (_, _, Some(for_tests), _) => Section::Dependencies { for_tests },
            (_, name, _, Some(for_tests)) => {
                self.dependencies.push(Dependency { name: unquoted(name).to_owned(), for_tests });
                Section::Dependency
            }
            _ => Section::Other,
        }
    }

    fn take(&mut self, section: &Section, key: &str, value: &str) {
        match section {
            Section::Package if key == "name" => self.name = unquoted(value).to_owned(),
            Section::Dependencies { for_tests } => {
                // `serde.workspace = true` and `serde = "1"` name the same package; `package` names the true one.
                let name = renamed(value).unwrap_or_else(|| unquoted(key.split('.').next().unwrap_or(key)));
                self.dependencies.push(Dependency { name: name.to_owned(), for_tests: *for_tests });
            }
            Section::Dependency if key == "package" => {
                let entered = self.dependencies.last_mut().expect("its table's header added it");
                entered.name = unquoted(value).to_owned();
            }
            _ => {}
        }
    }
}

/// Whether a table of dependencies is for tests; `None` if it is another table.
fn for_tests(table: &str) -> Option<bool> {
    match table {
        "dependencies" | "build-dependencies" => Some(false),
        "dev-dependencies" => Some(true),
        _ => None,
    }
}

/// The package that an inline table names.
fn renamed(value: &str) -> Option<&str> {
    let (_, after) = value.strip_prefix('{')?.split_once("package")?;
    after.trim_start().strip_prefix('=')?.split('"').nth(1)
}

/// The text between quotes, whatever follows them; a bare word as it is.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].split(quote).next().unwrap_or_default(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_dependencies_in_every_form_that_people_write() {
        let text = r#"
            [package]
            name = "reelmill-worker" # the worker
            version.workspace = true

            [lints]
            workspace = true

            [dependencies]
            serde = "1"
            tokio.workspace = true
            # axum = "0.8"
            hidden = { package = "reelmill-hub", path = "../hub" }

            [dev-dependencies]
            tempfile = { workspace = true }

            [target.'cfg(unix)'.build-dependencies]
            "cc" = "1"

            [dependencies.redis]
            version = "1"

            [dev-dependencies.tokio]
            version = "1"

            [target.x86_64-unknown-linux-gnu.dependencies.other]
            package = "reelmill-agent"

            [workspace.dependencies]
            only-offered = "1"
        "#;
        let manifest = Manifest::parse("worker", text);
        assert_eq!(manifest.folder, "worker");
        assert_eq!(manifest.name, "reelmill-worker");
        let names = |for_tests| {
            let all = manifest.dependencies.iter();
            all.filter(|d| d.for_tests == for_tests).map(|d| d.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["serde", "tokio", "reelmill-hub", "cc", "redis", "reelmill-agent"]);
        assert_eq!(names(true), ["tempfile", "tokio"]);
    }
}
