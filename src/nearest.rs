//! "Did you mean": the known word that a mistyped one is nearest to. Knows no other module.

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers: one slip in a short word, two from
/// five letters on, and never a word that has nothing else in common.
pub fn to<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if word.chars().count() < 5 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        assert_eq!(distance("pull", "pull"), 0);
        assert_eq!(distance("pul", "pull"), 1);
        assert_eq!(distance("imagse", "images"), 1);
        assert_eq!(distance("", "rmi"), 3);
        assert_eq!(distance("größe", "grösse"), 2);
    }

    #[test]
    fn the_nearest_wins_and_strangers_are_left_alone() {
        let commands = ["pull", "images", "rmi", "doctor", "shell"];
        assert_eq!(to("imagse", commands), Some("images"));
        assert_eq!(to("pul", commands), Some("pull"));
        assert_eq!(to("docter", commands), Some("doctor"));
        assert_eq!(to("debian", commands), None);
        assert_eq!(to("rust", commands), None);
        assert_eq!(to("a", ["b"]), None);
    }
}
