//! Who is trusted in TLS: the system's authorities and those of `certs.d`; nobody is asked where a registry is configured to be insecure.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Error;
use super::certificates::Certificates;

/// The system's authorities, read once for each process: it is the largest file that a pull reads.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // One that cannot be parsed is one that nothing was signed by.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// Puts together how a host is spoken to.
///
/// # Errors
/// [`Error::Tls`] where the client certificate and its key do not fit.
pub fn configure(host: &str, certificates: Certificates, insecure: bool) -> Result<ClientConfig, Error> {
    let unusable = |source: rustls::Error| Error::Tls { host: host.to_owned(), source };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(&provider, &certificates.authorities, insecure).map_err(unusable)?;
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    match certificates.identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// Verifies as webpki does, and beyond that accepts the very certificates that `certs.d` holds.
///
/// Many private registries show a certificate that they signed themselves, and their users put that into `certs.d`. webpki refuses it, as it
/// is an authority's and not a server's; other container tools accept it. Here it must be the same byte for byte, and be for this host.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    insecure: bool,
}

impl Verifier {
    fn new(
        provider: &Arc<CryptoProvider>,
        authorities: &[CertificateDer<'static>],
        insecure: bool,
    ) -> Result<Self, rustls::Error> {
        let mut roots = if insecure { RootCertStore::empty() } else { system_roots().clone() };
        roots.add_parsable_certificates(authorities.iter().cloned());
        // There is none to be built where nobody is trusted at all, as on a system without the package ca-certificates.
        let chain = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?,
            ),
        };
        Ok(Self { provider: Arc::clone(provider), chain, pinned: authorities.to_vec(), insecure })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = match &self.chain {
            Some(chain) => chain.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match verified {
            Ok(verified) => Ok(verified),
            Err(_) if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            // What webpki says of a certificate that its owner signed: nobody who is trusted has signed it.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
                if error.to_string().contains("CaUsedAsEndEntity") =>
            {
                Err(CertificateError::UnknownIssuer.into())
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
