//! Where enter keeps what is the user's, by the XDG Base Directory Specification 0.8: a variable with a relative path counts
//! for nothing.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Error;

/// The settings file: `$XDG_CONFIG_HOME/enter/config.toml`, or below `~/.config`. None where there is no home.
pub fn config(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    Some(base(environment, "XDG_CONFIG_HOME", ".config")?.join("enter/config.toml"))
}

/// The store: `$XDG_DATA_HOME/enter/v1`, or below `~/.local/share`. It need not exist.
///
/// # Errors
/// [`Error::NoHome`].
pub fn data(environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    Ok(base(environment, "XDG_DATA_HOME", ".local/share").ok_or(Error::NoHome)?.join("enter/v1"))
}

fn base(environment: impl Fn(&str) -> Option<OsString>, name: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(name).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + Copy + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn the_settings_are_where_xdg_says() {
        let at = |pairs| config(environment(pairs)).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(at(&[("HOME", "/h")]).unwrap(), "/h/.config/enter/config.toml");
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]).unwrap(), "/x/enter/config.toml");
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]).unwrap(), "/h/.config/enter/config.toml");
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn without_a_home_there_is_no_store() {
        let error = data(environment(&[("HOME", "")])).unwrap_err();
        assert_eq!(error.to_string(), "cannot tell where the store is: HOME is not set");
        assert_eq!(data(environment(&[("XDG_DATA_HOME", "/d")])).unwrap(), PathBuf::from("/d/enter/v1"));
    }
}
