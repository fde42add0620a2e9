//! Rows of text in columns that stand below each other.

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Texts, from the left.
    Text(&'static str),
    /// Figures, to the right.
    Figure(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Figure(name) => name,
        }
    }
}

/// The rows below their columns' names. Texts must be fit for a terminal.
pub(crate) fn table<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let length = |text: &str| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|i| {
        rows.iter().map(|row| length(&row[i])).chain([length(columns[i].name())]).max().unwrap_or(0)
    });
    let names = columns.map(|column| column.name().to_owned());
    let mut text = String::new();
    for row in std::iter::once(&names).chain(rows) {
        let cells = row.iter().zip(columns).zip(widths).map(|((cell, column), width)| match column {
            Column::Text(_) => format!("{cell:<width$}"),
            Column::Figure(_) => format!("{cell:>width$}"),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["a", "7", "x"], ["longer", "1000", ""]].map(|row| row.map(str::to_owned));
        let made = table([Column::Text("NAME"), Column::Figure("N"), Column::Text("LAST")], &rows);
        assert_eq!(made, "NAME       N  LAST\na          7  x\nlonger  1000\n");
    }
}
