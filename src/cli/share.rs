//! What of this machine a shell or a box shares beside its home: `--share` and `--unshare`.

use clap::Args;
use enter::container::record::{Shares, Switched};

/// The flags.
#[derive(Debug, Default, Args)]
pub struct ShareArgs {
    /// Share this of the machine, where it is not shared anyway: names with commas between them, or `all`; `enter explain` lists them with what
    /// each is
    #[arg(long, value_name = "WHAT", value_parser = words)]
    pub share: Vec<Words>,

    /// Do not share this of the machine: names with commas between them, or `all`. A name counts more than `all`, and this more than --share
    #[arg(long, value_name = "WHAT", value_parser = words)]
    pub unshare: Vec<Words>,
}

/// What one flag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    all: Vec<Switched>,
    /// The word `none` was among them, which means all of the other flag.
    none: bool,
}

impl ShareArgs {
    /// What was said.
    pub fn shares(&self) -> Shares {
        let side = |own: &[Words], other: &[Words]| {
            let named = own.iter().flat_map(|words| words.all.iter().copied());
            let all = other.iter().any(|words| words.none).then_some(Switched::All);
            named.chain(all).collect()
        };
        Shares { on: side(&self.share, &self.unshare), off: side(&self.unshare, &self.share) }
    }
}

fn words(text: &str) -> Result<Words, String> {
    let mut words = Words { all: Vec::new(), none: false };
    for word in text.split(',').map(str::trim) {
        match word {
            "none" => words.none = true,
            word => words.all.push(Switched::parse(word)?),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use enter::container::record::Share;

    #[test]
    fn words_stand_between_commas() {
        let args = |share: &[&str], unshare: &[&str]| {
            let all = |texts: &[&str]| texts.iter().map(|text| words(text).unwrap()).collect();
            ShareArgs { share: all(share), unshare: all(unshare) }.shares()
        };
        let said = args(&["ssh,wayland"], &["all"]);
        assert!(said.has(Share::SshAgent) && said.has(Share::Wayland) && !said.has(Share::X11));
        assert_eq!(args(&["none"], &[]), args(&[], &["all"]));
        assert_eq!(args(&["none", "x11"], &[]), args(&["x11"], &["all"]));
        for bad in ["", "x11,", "sound card", "x11;dbus"] {
            let why = words(bad).unwrap_err();
            assert!(why.contains("wayland") && why.contains("ssh-agent"), "{why}");
        }
    }
}
