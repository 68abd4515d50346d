//! Whom a pull trusts: authorities and certificates of `certs.d`, and nobody else.

use std::sync::Arc;

use enter::registry::{Error, Reason};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto::ring};

use super::Fixture;
use super::registry::{Lie, Registry, tar};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

fn sign(authority: &Authority, params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity { certificate: params.signed_by(&key, authority).unwrap(), key }
}

/// As `openssl req -x509` makes it: an authority's certificate used as a server's.
fn self_signed(name: &str) -> Identity {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Identity { certificate: params.self_signed(&key).unwrap(), key }
}

/// A registry with an image `a:1` that shows a certificate, and wants one from this authority if there is one.
fn registry(identity: &Identity, clients: Option<&Authority>) -> Registry {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let chain: Vec<CertificateDer<'static>> = vec![identity.certificate.der().clone()];
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let registry = Registry::start_tls(builder.with_single_cert(chain, key).unwrap());
    registry.push("a", "1", &[tar("a", b"a")]);
    registry
}

/// Puts a file into the user's `certs.d` for the registry.
fn certs_d(fixture: &Fixture, name: &str, pem: &str) {
    fixture.write(&format!("home/.config/containers/certs.d/{}/{name}", fixture.registry.host()), pem);
}

fn reason(fixture: &Fixture) -> Reason {
    match fixture.pull("a:1").unwrap_err() {
        Error::Reach { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_private_authority_is_trusted_once_it_is_in_certs_d() {
    let authority = authority();
    let fixture = Fixture::with(registry(&sign(&authority, &params("127.0.0.1")), None));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Reach { reason: Reason::UnknownAuthority, .. }), "{error:?}");
    let place = format!("certs.d/{}/ca.crt", fixture.registry.host());
    assert!(error.hint().unwrap().contains(&place), "{error:?}");
    assert_eq!(fixture.heard.retries(), 0);
    certs_d(&fixture, "ca.crt", &authority.pem());
    fixture.pull("a:1").unwrap();
}

#[test]
fn the_authority_of_another_registry_is_not_trusted_here() {
    let authority = authority();
    let fixture = Fixture::with(registry(&sign(&authority, &params("127.0.0.1")), None));
    fixture.write("home/.config/containers/certs.d/other.example.com/ca.crt", &authority.pem());
    assert_eq!(reason(&fixture), Reason::UnknownAuthority);
}

#[test]
fn the_system_s_folders_count_too() {
    for folder in ["containers", "docker"] {
        let authority = authority();
        let fixture = Fixture::with(registry(&sign(&authority, &params("127.0.0.1")), None));
        fixture.write(&format!("etc/{folder}/certs.d/{}/ca.crt", fixture.registry.host()), &authority.pem());
        fixture.pull("a:1").unwrap();
    }
}

#[test]
fn a_self_signed_certificate_is_trusted_once_it_is_in_certs_d() {
    let identity = self_signed("127.0.0.1");
    let fixture = Fixture::with(registry(&identity, None));
    assert_eq!(reason(&fixture), Reason::UnknownAuthority);
    certs_d(&fixture, "ca.crt", &self_signed("127.0.0.1").certificate.pem());
    assert_eq!(reason(&fixture), Reason::UnknownAuthority);
    certs_d(&fixture, "ca.crt", &identity.certificate.pem());
    fixture.pull("a:1").unwrap();
}

#[test]
fn a_certificate_must_be_for_this_host_and_time() {
    let authority = authority();
    let other = Fixture::with(registry(&sign(&authority, &params("registry.example.com")), None));
    certs_d(&other, "ca.crt", &authority.pem());
    assert_eq!(reason(&other), Reason::OtherName);
    let pinned = self_signed("registry.example.com");
    let fixture = Fixture::with(registry(&pinned, None));
    certs_d(&fixture, "ca.crt", &pinned.certificate.pem());
    assert_eq!(reason(&fixture), Reason::OtherName);
    let mut old = params("127.0.0.1");
    old.not_before = date_time_ymd(2010, 1, 1);
    old.not_after = date_time_ymd(2011, 1, 1);
    let expired = Fixture::with(registry(&sign(&authority, &old), None));
    certs_d(&expired, "ca.crt", &authority.pem());
    assert_eq!(reason(&expired), Reason::Expired);
}

#[test]
fn an_insecure_registry_may_show_any_certificate() {
    let fixture = Fixture::with(registry(&self_signed("registry.example.com"), None));
    fixture.configure(&format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", fixture.registry.host()));
    fixture.pull("a:1").unwrap();
}

#[test]
fn a_client_certificate_is_shown_where_there_is_one() {
    let authority = authority();
    let fixture = Fixture::with(registry(&sign(&authority, &params("127.0.0.1")), Some(&authority)));
    certs_d(&fixture, "ca.crt", &authority.pem());
    assert_eq!(reason(&fixture), Reason::WantsCertificate);
    let me = sign(&authority, &params("me"));
    certs_d(&fixture, "client.cert", &me.certificate.pem());
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Certificate { path, .. } if path.ends_with("client.key")), "{error:?}");
    certs_d(&fixture, "client.key", &me.key.serialize_pem());
    fixture.pull("a:1").unwrap();
}

#[test]
fn a_file_in_certs_d_that_is_no_certificate_is_named() {
    let fixture = Fixture::with(registry(&self_signed("127.0.0.1"), None));
    certs_d(&fixture, "ca.crt", "nonsense");
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Certificate { path, .. } if path.ends_with("ca.crt")), "{error:?}");
}

#[test]
fn https_is_never_left_for_http() {
    let authority = authority();
    let fixture = Fixture::with(registry(&sign(&authority, &params("127.0.0.1")), None));
    certs_d(&fixture, "ca.crt", &authority.pem());
    let elsewhere = Registry::start();
    let location = format!("http://{}/v2/a/manifests/1", elsewhere.host());
    fixture.registry.lie("/manifests/", 1, Lie::Answer(307, vec![("Location", location)], Vec::new()));
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Redirect { .. }), "{error:?}");
    let challenge = format!("Bearer realm=\"http://{}/token\"", elsewhere.host());
    fixture.registry.want("Bearer t1", &challenge);
    let error = fixture.pull("a:1").unwrap_err();
    assert!(matches!(&error, Error::Answer { .. }), "{error:?}");
    assert_eq!(elsewhere.log().len(), 0);
}
