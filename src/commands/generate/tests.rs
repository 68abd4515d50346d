//! What makes a container again.

use plan::Text;
use proptest::prelude::*;

use super::line::{create, quoted};

fn again(line: &str) -> String {
    let words: Vec<Text> = line.split_whitespace().map(Text::from).collect();
    create(&words, "web").unwrap()
}

#[test]
fn what_belongs_to_the_moment_is_left_out() {
    let made = "create --replace --name web";
    assert_eq!(again("enter run -d --name x busybox sleep 5"), format!("{made} busybox sleep 5"));
    assert_eq!(again("enter run -dit -e A=b --rm busybox -d --rm"), format!("{made} -i -t -e A=b busybox -d --rm"));
    assert_eq!(
        again("enter container run --detach=true -v/a:/b --restart always -- busybox"),
        format!("{made} -v /a:/b busybox")
    );
    let line = "enter create --net host --init --sig-proxy=false busybox";
    assert_eq!(again(line), format!("{made} --net=host --init busybox"));
    assert!(create(&["enter".into(), "debian".into()], "x").is_err());
}

#[test]
fn systemds_own_signs_mean_themselves() {
    assert_eq!(quoted("a-b/c=d"), "a-b/c=d");
    assert_eq!(quoted("50% of $HOME"), "\"50%% of $$HOME\"");
    assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    assert_eq!(quoted(""), "\"\"");
}

proptest! {
    #[test]
    fn any_command_line_is_no_panic(words in proptest::collection::vec("[-=a-z ]{0,6}", 0..8)) {
        let own = ["enter", "run"].map(Text::from).into_iter();
        let words: Vec<Text> = own.chain(words.into_iter().map(Text::from)).collect();
        let _ = create(&words, "web");
    }

    #[test]
    fn no_word_ends_its_line(word in ".{0,20}|[\n\r\t]{1,3}") {
        prop_assert!(!quoted(&word).chars().any(|char| char.is_ascii_control()));
    }
}
