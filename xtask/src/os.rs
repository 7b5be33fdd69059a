//! Which operating system this is, and whether software may be installed on it.

use crate::process::{capture, program};

/// The content of `/etc/os-release`.
#[derive(Debug, Default, PartialEq)]
pub struct OsRelease {
    pub id: String,
    pub id_like: Vec<String>,
    pub name: String,
}

impl OsRelease {
    /// Parses `KEY=value` lines, quoted or not.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            match key {
                "ID" => found.id = value.to_lowercase(),
                "ID_LIKE" => {
                    found.id_like = value.split_whitespace().map(str::to_lowercase).collect();
                }
                "PRETTY_NAME" => found.name = value.to_owned(),
                _ => {}
            }
        }
        found
    }

    /// The release of this machine, empty if unknown.
    pub fn here() -> Self {
        Self::parse(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// Whether packages are installed by apt-get here.
    pub fn is_debian_like(&self) -> bool {
        self.is_ubuntu_like() || self.is("debian")
    }

    /// Whether Chromium is a snap here, so that its package contains no files.
    pub fn is_ubuntu_like(&self) -> bool {
        self.is("ubuntu")
    }

    fn is(&self, family: &str) -> bool {
        self.id == family || self.id_like.iter().any(|like| like == family)
    }
}

/// How to become root, if possible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Privilege {
    Root,
    Sudo,
    None,
}

impl Privilege {
    /// What this process may do: it is root, has passwordless sudo, or neither.
    pub fn here() -> Self {
        if capture(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
            Self::Root
        } else if capture(program("sudo").args(["-n", "true"])).is_ok() {
            Self::Sudo
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_ubuntu_and_their_children_take_apt() {
        let debian =
            OsRelease::parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
        assert_eq!(debian.name, "Debian GNU/Linux 12 (bookworm)");
        assert!(debian.is_debian_like() && !debian.is_ubuntu_like());
        let ubuntu = OsRelease::parse("ID=ubuntu\nID_LIKE=debian\n");
        assert!(ubuntu.is_debian_like() && ubuntu.is_ubuntu_like());
        let mint = OsRelease::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n");
        assert!(mint.is_debian_like() && mint.is_ubuntu_like());
    }

    #[test]
    fn others_do_not() {
        assert!(!OsRelease::parse("ID=fedora\nVERSION_ID=42\n").is_debian_like());
        assert!(!OsRelease::parse("ID='arch'\n# ID=debian\n").is_debian_like());
        assert_eq!(OsRelease::parse(""), OsRelease::default());
    }
}
