//! What the authority makes, as a TLS library judges it, and what it refuses to make.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateRevocationListDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
};

use super::*;

fn open(folder: &Path) -> Ca {
    Ca::open(&folder.join("ca")).expect("an authority")
}

fn roots(ca: &Ca) -> std::sync::Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der.clone()).expect("a root");
    roots.into()
}

fn csr_of(key: &KeyPair, params: CertificateParams) -> Csr {
    let request = params.serialize_request(key).expect("a request").pem().expect("PEM");
    Csr::parse(&request).expect("a good request")
}

fn now() -> UnixTime {
    UnixTime::now()
}

#[test]
fn the_authority_is_made_once_and_its_key_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, again) = (open(folder.path()), open(folder.path()));
    assert_eq!((first.pem(), first.fingerprint()), (again.pem(), again.fingerprint()));
    let mode = |path: &str| fs::metadata(folder.path().join(path)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!([mode("ca"), mode("ca/ca.key"), mode("ca/ca.pem")], [0o700, 0o600, 0o600]);
    assert!(!format!("{first:?}").contains("PRIVATE"));
}

#[test]
fn a_lost_or_wrong_key_is_told_and_nothing_is_made_in_its_place() {
    let told = |break_it: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path());
        break_it(&folder.path().join("ca"));
        let error = Ca::open(&folder.path().join("ca")).expect_err("it is broken");
        let text = reelmill_daemon::report::render(&*error);
        text.replace(&format!("{}/", folder.path().canonicalize().expect("a path").display()), "")
    };
    let hint = "\nhint: put both files back from a backup; without them every node must be enrolled anew";
    let at = "error: cannot open the farm's authority in ca: ca/ca.key: ";
    let gone = told(&|ca| fs::remove_file(ca.join("ca.key")).expect("ours"));
    assert_eq!(gone, format!("{at}No such file or directory (os error 2){hint}"));
    let other = KeyPair::generate().expect("a key").serialize_pem();
    let wrong = told(&|ca| fs::write(ca.join("ca.key"), &other).expect("ours"));
    assert_eq!(wrong, format!("{at}this is another authority's key{hint}"));
    let empty = told(&|ca| fs::write(ca.join("ca.key"), "").expect("ours"));
    assert_eq!(empty, format!("{at}this is no key{hint}"));
}

#[test]
fn a_server_is_believed_by_its_names_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = open(folder.path());
    let identity = ca.server(&["hub.example".to_owned(), "10.0.0.2".to_owned()]).expect("an identity");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(chain[1], ca.der, "the authority comes with it, for nodes that know its digest only");
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(&ca), ring::default_provider().into()).build();
    let verifier = verifier.expect("a verifier");
    let check = |name: &'static str| {
        let name = ServerName::try_from(name).expect("a name");
        verifier.verify_server_cert(&chain[0], &[], &name, &[], now()).is_ok()
    };
    assert_eq!(["hub.example", "10.0.0.2", "hub", "10.0.0.3"].map(check), [true, true, false, false]);
    let client = ca.client("hub").expect("an identity");
    let client = CertificateDer::from_pem_slice(client.cert_pem.as_bytes()).expect("PEM");
    let name = ServerName::try_from("hub").expect("a name");
    assert!(verifier.verify_server_cert(&client, &[], &name, &[], now()).is_err(), "a client is no server");
    assert!(ca.server(&["hüb".to_owned()]).is_err());
}

#[test]
fn a_nodes_certificate_has_the_name_that_we_give_and_nothing_that_it_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = open(folder.path());
    let mut greedy = CertificateParams::new(["hub.example".to_owned()]).expect("a name");
    greedy.distinguished_name.push(DnType::CommonName, "hub");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.extended_key_usages = vec![Use::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let csr = csr_of(&key, greedy);
    assert_eq!(csr.key_id(), Sha256::of(&key.subject_public_key_info()));
    let issued = ca.sign_node(&csr, &"orin-3".parse().expect("a name"), Timestamp::now()).expect("signed");
    let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).expect("PEM");
    assert_eq!(issued.sha256, Sha256::of(&der));
    let holds = |text: &[u8]| der.windows(text.len()).any(|part| part == text);
    assert!(holds(b"orin-3") && !holds(b"hub"), "the name is ours to give");
    let client = WebPkiClientVerifier::builder_with_provider(roots(&ca), ring::default_provider().into()).build();
    let client = client.expect("a verifier");
    client.verify_client_cert(&der, &[], now()).expect("a good client");
    let forty_days = std::time::Duration::from_secs(40 * 24 * 3600);
    let late = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now().as_secs()) + forty_days);
    assert!(client.verify_client_cert(&der, &[], late).is_err(), "it is good for thirty days");
    let server = WebPkiServerVerifier::builder_with_provider(roots(&ca), ring::default_provider().into()).build();
    let name = ServerName::try_from("hub.example").expect("a name");
    assert!(server.expect("a verifier").verify_server_cert(&der, &[], &name, &[], now()).is_err());
}

#[test]
fn a_request_must_be_signed_by_a_key_of_a_known_kind() {
    let request = |key: &KeyPair| CertificateParams::default().serialize_request(key).expect("a request");
    let good = request(&KeyPair::generate().expect("a key"));
    assert!(Csr::parse(&good.pem().expect("PEM")).is_ok());
    let large = request(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key"));
    assert_eq!(Csr::parse(&large.pem().expect("PEM")).expect_err("another curve"), BadCsr::Key);
    let mut altered = good.der().to_vec();
    // Somewhere in the signature, which comes last.
    let last = altered.len() - 5;
    altered[last] ^= 1;
    let pem = pem_of(&altered);
    assert_eq!(Csr::parse(&pem).expect_err("altered"), BadCsr::Unsigned);
    for bad in ["", "x", &pem_of(b"x"), &KeyPair::generate().expect("a key").serialize_pem()] {
        assert_eq!(Csr::parse(bad).expect_err("something else"), BadCsr::Unreadable);
    }
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

#[test]
fn the_list_of_revoked_certificates_is_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = open(folder.path());
    let sign = |name: &str| {
        let csr = csr_of(&KeyPair::generate().expect("a key"), CertificateParams::default());
        ca.sign_node(&csr, &name.parse().expect("a name"), Timestamp::now()).expect("signed")
    };
    let (bad, good) = (sign("bad"), sign("good"));
    let revoked = Revoked { serial: bad.serial, at: Timestamp::now() };
    ca.write_crl(&[revoked], Timestamp::now()).expect("written");
    let list = fs::read_to_string(folder.path().join("ca/crl.pem")).expect("it is there");
    let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).expect("PEM");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&ca), ring::default_provider().into())
        .with_crls([list])
        .enforce_revocation_expiration()
        .build()
        .expect("a verifier");
    let check = |issued: &Issued| {
        let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).expect("PEM");
        verifier.verify_client_cert(&der, &[], now()).is_ok()
    };
    assert_eq!([check(&bad), check(&good)], [false, true]);
    assert!(ca.crl(&[], Timestamp::now()).is_ok(), "an empty list is one too");
}
