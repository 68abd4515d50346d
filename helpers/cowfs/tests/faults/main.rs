//! What goes wrong below and beside cowfs while it writes: errors are right, and nothing that was there before is lost.

#[path = "../common/mod.rs"]
mod common;
mod injected;
mod killed;

use common::Tar;
use common::union::{Place, example};

/// How cowfs can write. The kernel's overlayfs is the kernel's own affair.
const DRIVERS: [&str; 3] = ["fuse", "writeback", "native"];

/// Lower content that is easy to tell: so many lines.
fn lines(count: usize) -> String {
    (0..count).map(|number| format!("line {number} of the lower side\n")).collect()
}

fn place() -> Place {
    let mut tar = Tar::default();
    tar.dir(".").dir("dir").file("dir/large", lines(100_000)).file("small", "of the lower side\n").file("shared", "");
    let place = Place::new(&[tar.end()]);
    place.install(&example("strain"));
    place
}

#[test]
fn a_full_disk_is_said_and_nothing_earlier_is_lost() {
    // The room of a removed file is there a moment later, when the kernel has said that it forgets it.
    let place = place();
    let before = "cd $VIEW; cp small kept; cat /dev/zero > full && exit 1; test $(stat -c %s full) -gt 1000000
        cat small kept; mkdir more && touch more/file && cat $PLACE/layer0.tar > more/file && exit 1
        echo x >> dir/large && exit 1
        tail -n 1 dir/large; test $(wc -l < dir/large) = 100000
        sync -d kept; rm full; for n in $(seq 100); do ! echo after > later || break; sleep 0.05; done; cat later kept; echo x >> dir/large || test -s dir/large";
    let after = "cd $VIEW; cat kept small later; test -d more; test ! -e full; grep -c lower dir/large";
    // Where the kernel collects writes, they fail when they are synced, which cat and echo do not do.
    for driver in ["fuse", "native"] {
        let script = format!(
            "mkdir -p full; mount -t tmpfs -o size=4m full full
             $PLACE/union --here {driver} $PLACE/sides/full $LAYERS -- sh -euc '{before}'
             $PLACE/union --here {driver} $PLACE/sides/full $LAYERS -- sh -euc '{after}'
             umount full"
        );
        let text = common::view::expect(
            place.command("none", "sides", &format!("cd $PLACE/sides; {script}")).output().unwrap(),
        );
        let small = "of the lower side\n";
        let expected =
            format!("{small}{small}line 99999 of the lower side\nafter\n{small}{small}{small}after\n100000\n");
        assert_eq!(text, expected, "{driver}");
    }
}

#[test]
fn a_limit_of_file_sizes_is_an_error_and_no_end() {
    let place = place();
    for driver in ["fuse", "native"] {
        let script = "cd $VIEW; echo before > file; prlimit --pid $SERVER --fsize=100000
             head -c 200000 /dev/zero > large && exit 1; echo x >> dir/large && exit 1
             cat file small; tail -n 1 dir/large; stat -c %s large";
        let text = place.output(driver, &format!("sides/{driver}"), script);
        assert_eq!(text, "before\nof the lower side\nline 99999 of the lower side\n100000\n", "{driver}");
    }
}

#[test]
fn a_full_disk_is_said_when_collected_writes_are_synced() {
    let place = place();
    let script = "mkdir -p full; mount -t tmpfs -o size=4m full full
         $PLACE/union --here writeback $PLACE/sides/full $LAYERS -- sh -euc '
            cd $VIEW; cp small kept; sync -d kept; dd if=/dev/zero of=full bs=1M count=6 conv=fsync 2>/dev/null && exit 1; cat kept
            rm full; for n in $(seq 100); do ! dd if=small of=later conv=fsync 2>/dev/null || break; sleep 0.05; done; cat later'
         $PLACE/union --here writeback $PLACE/sides/full $LAYERS -- sh -euc 'cd $VIEW; cat kept later; ls'
         umount full";
    let text = place.output("none", "sides", &format!("cd $PLACE/sides; {script}"));
    assert_eq!(text, format!("{}dir\nkept\nlater\nshared\nsmall\n", "of the lower side\n".repeat(4)));
}

#[test]
fn a_disk_that_has_room_for_a_part_of_a_collected_write_is_full() {
    let place = place();
    let script = "mkdir -p full; mount -t tmpfs -o size=4m full full
         $PLACE/union --here writeback $PLACE/sides/full $LAYERS -- sh -euc '
            cd $VIEW; head -c 3400000 /dev/zero > pad; sync -d pad
            if dd if=/dev/zero of=large bs=1M count=1 conv=fsync 2> $PLACE/sides/told; then cat $PLACE/sides/told; exit 1; fi'
         grep -o \"No space left on device\" told | head -n 1; umount full";
    let text = place.output("none", "sides", &format!("cd $PLACE/sides; {script}"));
    assert_eq!(text, "No space left on device\n");
}

#[test]
fn an_error_of_the_lower_side_is_the_callers_and_changes_nothing() {
    let place = place();
    for driver in DRIVERS {
        let sides = format!("sides/{driver}");
        // The layer loses the second half of the large file, which makes it a damaged one at the next mount.
        let script = "cd $VIEW; touch new; cp $PLACE/layer0.tar $PLACE/sides/whole
             truncate -s $(($(stat -c %s $PLACE/layer0.tar) / 2)) $PLACE/layer0.tar
             head -n 1 dir/large; cat dir/large > /dev/null && exit 1; truncate -s +1 dir/large && exit 1
             echo x > small; cat small; ls; stat -c %s dir/large
             test $DRIVER = native || chmod 600 dir/large; stat -c %a dir/large; cat $PLACE/sides/whole > $PLACE/layer0.tar";
        let script = format!("DRIVER={driver}; {script}");
        // Attributes alone are changed without the content, but where the kernel's overlay is to read the result.
        let mode = if driver == "native" { 644 } else { 600 };
        let listed = "x\ndir\nnew\nshared\nsmall";
        let expected = format!("line 0 of the lower side\n{listed}\n{}\n{mode}\n", lines(100_000).len());
        assert_eq!(place.output(driver, &sides, &script), expected, "{driver}");
        let text = place.output(driver, &sides, "cd $VIEW; stat -c %a dir/large; tail -n 1 dir/large; cat small");
        assert_eq!(text, format!("{mode}\nline 99999 of the lower side\nx\n"), "{driver}");
    }
}

/// With `again`, a second time, where the same names have been there and gone.
fn strain(what: &str, count: usize, again: bool) {
    let place = place();
    let once = format!("cd $VIEW; $PLACE/strain {what} {count}");
    let script = if again { format!("{once}; rm shared; touch shared; {once}") } else { once };
    for driver in DRIVERS {
        place.output(driver, &format!("sides/{driver}"), &script);
    }
}

#[test]
fn ten_thousand_files_are_open_at_once() {
    strain("open", 10_000, false);
}

#[test]
fn a_hundred_threads_share_a_directory_and_a_file() {
    strain("threads", 100, true);
}

/// `COWFS_TEST_CROWD=1000000` makes it a million.
#[test]
fn a_directory_of_a_hundred_thousand_names_is_listed_while_it_shrinks() {
    let count = std::env::var("COWFS_TEST_CROWD").map_or(100_000, |text| text.parse().unwrap());
    let place = place();
    place.output("fuse", "sides/fuse", &format!("cd $VIEW; $PLACE/strain crowd {count}"));
}

#[test]
fn directories_are_deeper_than_a_path_can_be_long() {
    strain("deep", 40, true);
}

#[test]
fn what_lies_deeper_than_a_path_can_be_long_is_copied_up() {
    let deep = vec!["d".repeat(200); 19].join("/");
    let file = format!("{deep}/file");
    let place = Place::new(&[Tar::default().dir(".").file(&file, "deep").end()]);
    // Longer than that must no name in a layer be; with the way to the mount, and with what is made below, it is.
    let walk = "cd $VIEW; for n in $(seq 19); do cd d*; done";
    for driver in DRIVERS {
        let sides = format!("sides/{driver}");
        let script = format!(
            "{walk}; cat file; echo er >> file; chmod 640 file
             mkdir -p $(printf %0250d 0)/$(printf %0250d 0); mv file moved; ln moved linked; cat moved; cd /"
        );
        assert_eq!(place.output(driver, &sides, &script), "deepdeeper\n", "{driver}");
        let script = format!("{walk}; ls; cat linked; stat -c '%a %h' moved; cd $VIEW; mv d* e; rm -r e; ls; cd /");
        assert_eq!(
            place.output(driver, &sides, &script),
            format!("{:0250}\nlinked\nmoved\ndeeper\n640 2\n", 0),
            "{driver}"
        );
    }
}

#[test]
fn names_may_have_255_bytes() {
    let place = place();
    for driver in DRIVERS {
        let script = "cd $VIEW; long=$(printf %0255d 0); mkdir $long; echo content > $long/$long; mv $long/$long 1$(printf %0254d 0)
            ls | wc -l; touch ${long}0 && exit 1; rm -r $long; ls -A | wc -c";
        let text = place.output(driver, &format!("sides/{driver}"), script);
        assert_eq!(text, "5\n273\n", "{driver}");
    }
}
