//! From a list of operations that shows a difference to the shortest that does.

/// Where in a list a difference is, and what it is.
pub type Difference = (usize, String);

/// Leaves out what need not be there, by ever smaller pieces, as long as `difference` still finds one.
pub fn shortest(
    mut list: Vec<String>,
    first: Difference,
    difference: impl Fn(&[String]) -> Option<Difference>,
) -> (Vec<String>, String) {
    let mut explanation = first.1;
    list.truncate(first.0 + 1);
    let mut piece = list.len().div_ceil(2);
    while piece > 0 {
        let mut end = list.len();
        while end > 0 {
            let start = end.saturating_sub(piece);
            let mut fewer = list.clone();
            fewer.drain(start..end);
            if let Some((number, text)) = difference(&fewer) {
                fewer.truncate(number + 1);
                (list, explanation) = (fewer, text);
            }
            end = start.min(list.len());
        }
        piece /= 2;
    }
    (list, explanation)
}
