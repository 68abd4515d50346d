//! Lists of operations, made by chance from a seed: the same seed gives the same list everywhere.

/// A generator of numbers that are as good as random (Steele, Lea and Flood's SplitMix64).
pub struct Random(u64);

#[allow(dead_code)]
impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    /// True in one of `n` cases.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Few names, so that operations meet.
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Files that are there at the beginning.
const FILES: [&str; 8] = ["b", "a/c", "a/a/a", "a/a/b", "a/b/a", "a/b/b", "c/a", "c/c/a"];
const SLOTS: [&str; 4] = ["0", "1", "2", "3"];
const USERS: [&str; 4] = ["0", "0", "1000", "1001"];

/// A list of `length` operations.
pub fn operations(seed: u64, length: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    let opened = SLOTS.map(|slot| format!("open {slot} {} rw 644", random.pick(&FILES)));
    opened.into_iter().chain((0..length).map(|_| operation(&mut random))).collect()
}

fn operation(random: &mut Random) -> String {
    match random.below(100) {
        0..14 => opening(random),
        14..42 => content(random),
        42..66 => names(random),
        66..92 => attributes(random),
        92..96 => format!("as {}", if random.one_in(3) { "0" } else { random.pick(&USERS) }),
        96..98 => "remount".to_owned(),
        _ => format!("access {} {}", path(random), random.below(8)),
    }
}

fn path(random: &mut Random) -> String {
    if random.one_in(60) {
        return ["x".repeat(255), "x".repeat(256), ".".to_owned(), "a/..".to_owned()][random.below(4) as usize].clone();
    }
    if random.one_in(3) {
        return random.pick(&FILES).to_owned();
    }
    let depth = [1, 1, 2, 2, 2, 3][random.below(6) as usize];
    (0..depth).map(|_| random.pick(&NAMES)).collect::<Vec<_>>().join("/")
}

fn opening(random: &mut Random) -> String {
    let slot = random.pick(&SLOTS);
    if random.one_in(6) {
        return format!("close {slot}");
    }
    let how = ["r", "r", "rw", "rw", "w", "rwc", "rwc", "rwcx", "wt", "rwct", "wa", "rwca", "rn", "rd", "rwm", "wcn"];
    format!("open {slot} {} {} {}", path(random), random.pick(&how), mode(random))
}

fn mode(random: &mut Random) -> String {
    random.pick(&["644", "755", "600", "777", "0", "4755", "2755", "1777", "2770", "444"]).to_owned()
}

/// Around the places where something changes: blocks, pages, the end of the lower side's files.
fn offset(random: &mut Random) -> u64 {
    let around = [0, 100, 4096, 5000, 8192, 40_000, 70_000, 131_072, 1_100_000];
    let near = around[random.below(around.len() as u64) as usize];
    if random.one_in(3) { near } else { near + random.below(3000) }
}

fn length(random: &mut Random) -> u64 {
    [1, 10, 500, 4096, 10_000, 100_000][random.below(6) as usize] + random.below(10)
}

fn content(random: &mut Random) -> String {
    let (slot, byte) = (random.pick(&SLOTS), random.pick(&["x", "y", "z"]));
    let (at, size) = (offset(random), length(random));
    match random.below(15) {
        0..4 => format!("write {slot} {at} {size} {byte}"),
        4..6 => format!("read {slot} {at} {size}"),
        6 => format!("mapwrite {slot} {at} {size} {byte}"),
        7 => format!("mapread {slot}"),
        8 => format!("seek {slot} {at} {}", random.pick(&["data", "hole"])),
        9 => format!("copy {slot} {at} {} {} {size}", random.pick(&SLOTS), offset(random)),
        10 => format!("ftruncate {slot} {at}"),
        11 => format!("fallocate {slot} {} {at} {size}", random.pick(&["extend", "keep", "punch", "zero"])),
        12 => format!("list {slot}"),
        13 => format!("fsync {slot}"),
        _ => format!("truncate {} {at}", path(random)),
    }
}

fn names(random: &mut Random) -> String {
    let path = path(random);
    match random.below(16) {
        0..3 => format!("mkdir {path} {}", mode(random)),
        3 | 4 => format!("rmdir {path}"),
        5..8 => format!("unlink {path}"),
        8..11 => {
            let how = random.pick(&["replace", "replace", "noreplace", "exchange"]);
            format!("rename {path} {} {how}", self::path(random))
        }
        11 | 12 => format!("link {path} {}", self::path(random)),
        13 => format!("symlink {} {path}", random.pick(&["a", "../b", "nowhere", "/etc/hostname", "a/b/c"])),
        14 => format!("linkfd {} {path}", random.pick(&SLOTS)),
        _ => format!("{} {path} {}", random.pick(&["mkfifo", "mksocket"]), mode(random)),
    }
}

/// Extended attributes; the last is refused, since it is for root of the machine.
const ATTRIBUTES: [&str; 4] = ["user.a", "user.b", "user.a.longer.name", "trusted.a"];

fn attributes(random: &mut Random) -> String {
    let path = path(random);
    let owner = |random: &mut Random| random.pick(&["0", "1000", "1001", "4294967295"]);
    match random.below(17) {
        0 | 1 => format!("chmod {path} {}", mode(random)),
        2 => format!("fchmod {} {}", random.pick(&SLOTS), mode(random)),
        3 | 4 => format!("chown {path} {} {}", owner(random), random.pick(&["0", "1000", "1001"])),
        5 => format!("fchown {} {} {}", random.pick(&SLOTS), owner(random), owner(random)),
        6 => format!("utimens {path} {} {}", random.below(1_500_000_000), random.below(1_000_000_000)),
        7 => {
            format!("futimens {} {} {}", random.pick(&SLOTS), random.below(1_500_000_000), random.below(1_000_000_000))
        }
        8 | 9 => format!("stat {path}"),
        10 | 11 => format!("fstat {}", random.pick(&SLOTS)),
        12 => format!("readlink {path}"),
        13 | 14 => {
            format!("setxattr {path} {} {} {}", random.pick(&ATTRIBUTES), random.below(200), random.pick(&["x", "y"]))
        }
        15 => format!("{} {path} {}", random.pick(&["getxattr", "removexattr"]), random.pick(&ATTRIBUTES)),
        _ => format!("listxattr {path}"),
    }
}
