//! Why a host could not be reached, read out of what the HTTP library says.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its name has no address.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// No way to it.
    Unreachable,
    /// No byte for so long.
    Silent(Duration),
    /// Its certificate is signed by nobody who is trusted.
    UnknownAuthority,
    /// Its certificate is for other hosts.
    OtherName,
    /// Its certificate is no longer valid, or not yet.
    Expired,
    /// Its certificate is wrong in another way.
    BadCertificate(String),
    /// It wants a certificate of ours.
    WantsCertificate,
    /// It does not speak TLS.
    NoTls,
    /// What it says is no HTTP.
    NoHttp,
    /// TLS failed in another way.
    Tls(String),
    /// The proxy failed.
    Proxy,
    /// The connection broke.
    Broken,
}

impl Reason {
    /// Reads an error of the HTTP library.
    pub fn of(error: &reqwest::Error, stall: Duration) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        let mut found = None;
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::of_tls(tls);
            }
            let text = error.to_string();
            if text.starts_with("dns error") {
                return Self::UnknownHost;
            }
            if text.starts_with("invalid HTTP") || text == "message head is too large" {
                return Self::NoHttp;
            }
            if text.starts_with("tunnel error") || text.starts_with("SOCKS error") {
                return Self::Proxy;
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                found = Self::of_io(error.kind()).or(found);
            }
            next = below(error);
        }
        match found {
            Some(reason) => reason,
            None if error.is_timeout() => Self::Silent(stall),
            None => Self::Broken,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Some(Self::Unreachable),
            _ => None,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                other => Self::BadCertificate(other.to_string()),
            },
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
                Self::WantsCertificate
            }
            other => Self::Tls(other.to_string()),
        }
    }

    /// Whether another attempt may succeed although the first contact failed so: what is unlikely to pass within seconds is told at once.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Broken)
    }

    /// Whether it is a matter of trust, which no attempt will change.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::UnknownHost
                | Self::Refused
                | Self::Unreachable
                | Self::Silent(_)
                | Self::Broken
                | Self::NoHttp
                | Self::Proxy
        )
    }

    /// What the user can do.
    pub fn hint(&self, host: &str, certificate: Option<&Path>, proxy: Option<&str>) -> Option<String> {
        if let (
            Some(proxy),
            Self::UnknownHost | Self::Refused | Self::Unreachable | Self::Silent(_) | Self::Proxy | Self::Broken,
        ) = (proxy, self)
        {
            return Some(format!("the proxy {proxy} is in use: see whether it works, or add the registry to NO_PROXY"));
        }
        Some(match self {
            Self::UnknownHost => format!("see whether {host} is the right name, and whether this machine is online"),
            Self::Refused => "see whether the registry runs, and on this port".into(),
            Self::Unreachable | Self::Proxy => "see whether this machine is online".into(),
            Self::Silent(_) | Self::Broken => "try again: what has arrived is kept".into(),
            Self::UnknownAuthority => match certificate {
                Some(path) => format!(
                    "if it is a registry of your own, put the certificate of its authority into {}",
                    path.display()
                ),
                None => format!(
                    "if it is a registry of your own, put the certificate of its authority into /etc/containers/certs.d/{host}/ca.crt"
                ),
            },
            Self::OtherName => "use the name that the certificate is for".into(),
            Self::Expired => {
                "see whether this machine's clock is right; else the registry needs a new certificate".into()
            }
            Self::NoTls => format!(
                "it seems to speak plain HTTP; if you trust the network on the way, pull or push with --tls-verify=false, or add to registries.conf: [[registry]] location = \"{host}\" insecure = true"
            ),
            Self::WantsCertificate => {
                format!(
                    "put your certificate and its key into certs.d/{host}/ as client.cert and client.key (containers-certs.d(5))"
                )
            }
            Self::BadCertificate(_) | Self::Tls(_) => "tell who runs the registry".into(),
            Self::NoHttp => "see whether a registry is there, and on this port".into(),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost => f.write_str("no host of that name is known"),
            Self::Refused => f.write_str("the connection is refused"),
            Self::Unreachable => f.write_str("there is no way to it"),
            Self::Silent(time) => write!(f, "it stalled, no byte came for {} s", time.as_secs_f32()),
            Self::UnknownAuthority => f.write_str("its certificate is signed by nobody who is trusted here"),
            Self::OtherName => f.write_str("its certificate is for another name"),
            Self::Expired => f.write_str("its certificate is not valid at this time"),
            Self::BadCertificate(what) => write!(f, "its certificate is wrong: {what}"),
            Self::WantsCertificate => f.write_str("it wants a client certificate"),
            Self::NoTls => f.write_str("it does not speak TLS"),
            Self::NoHttp => f.write_str("what it says is no HTTP"),
            Self::Tls(what) => write!(f, "TLS failed: {what}"),
            Self::Proxy => f.write_str("the proxy does not let it through"),
            Self::Broken => f.write_str("the connection broke"),
        }
    }
}

/// The error below an error. `io::Error` passes over the one that it wraps.
pub fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
}
