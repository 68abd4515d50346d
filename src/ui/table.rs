//! Columns with the widths of docker's: at least ten, three blanks between them, nothing after the last.

/// Lays rows out, each a line. Rows may have different numbers of cells.
pub fn layout<R: AsRef<[C]>, C: AsRef<str>>(rows: &[R]) -> String {
    const NARROWEST: usize = 10;
    layout_wide(rows, NARROWEST)
}

/// The same with columns that are at least so wide.
pub fn layout_wide<R: AsRef<[C]>, C: AsRef<str>>(rows: &[R], narrowest: usize) -> String {
    const GAP: usize = 3;
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or_default();
    let width = |column: usize| {
        // A row's last cell is no column: what stands there may be as long as it likes.
        let cells = rows.iter().filter(|row| row.as_ref().len() > column + 1).map(|row| row.as_ref()[column].as_ref());
        cells.map(|cell| cell.chars().count() + GAP).max().unwrap_or_default().max(narrowest)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let Some((last, cells)) = row.as_ref().split_last() else { continue };
        for (cell, width) in cells.iter().zip(&widths) {
            out.push_str(&format!("{:width$}", cell.as_ref()));
        }
        out.push_str(last.as_ref());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dockers() {
        let rows = [["REPOSITORY", "TAG", "SIZE"], ["debian", "trixie-slim-long", "1.99MB"], ["größe", "x", ""]];
        let expected = "REPOSITORY   TAG                SIZE\n\
                        debian       trixie-slim-long   1.99MB\n\
                        größe        x                  \n";
        assert_eq!(layout(&rows), expected);
    }

    #[test]
    fn a_narrow_column_is_ten_wide() {
        assert_eq!(layout(&[["a", "b"], ["c", "d"]]), "a         b\nc         d\n");
    }
}
