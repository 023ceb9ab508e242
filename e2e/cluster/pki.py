"""Certificates, tokens and kubeconfigs of the local cluster; all of them live as long as the cluster's state."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.layout import API_SERVER, DOMAIN, HOST, NODES
from e2e.cluster.paths import state_dir

_LIFE = datetime.timedelta(days=90)
_USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "dns": ("carnelian:dns", ""),
    "storage": ("carnelian:storage", ""),
    **{node.name: (f"system:node:{node.name}", "system:nodes") for node in NODES},
}


def folder() -> Path:
    """Where keys and certificates are."""
    return state_dir() / "pki"


def kubeconfig(user: str) -> Path:
    """Kubeconfig of one of the cluster's own users, such as `admin` or a node."""
    return state_dir() / f"{user}.kubeconfig"


def create() -> None:
    """Write all keys, certificates, the token table and the kubeconfigs."""
    folder().mkdir(parents=True, mode=0o700)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("carnelian-local-ca")
    ca = _builder(ca_name, ca_name, ca_key.public_key())
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    ca = ca.add_extension(_ca_usage(), critical=True)
    ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    _write("ca", ca_key, ca.sign(ca_key, hashes.SHA256()))
    service = f"kubernetes.default.svc.{DOMAIN}".split(".")
    names = ["localhost", *(".".join(service[:count]) for count in (1, 2, 3, len(service)))]
    alternative: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternative += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", HOST, "10.97.0.1")]
    for file, common, organisation, purpose in (
        ("api", "kube-apiserver", "", ExtendedKeyUsageOID.SERVER_AUTH),
        ("kubelet-client", "kube-apiserver-kubelet-client", "system:masters", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _builder(_name(common, organisation), ca_name, key.public_key())
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        leaf = leaf.add_extension(issuer, critical=False)  # Python 3.13 verifies strictly and wants it
        if purpose == ExtendedKeyUsageOID.SERVER_AUTH:
            leaf = leaf.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        _write(file, key, leaf.sign(ca_key, hashes.SHA256()))
    _write("service-accounts", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    _write_users()


def _write_users() -> None:
    rows = []
    for user, (name, group) in _USERS.items():
        token = secrets.token_urlsafe(24)
        rows.append(f'{token},{name},{user},"{group}"' if group else f"{token},{name},{user}")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "carnelian-local",
                    "cluster": {"server": API_SERVER, "certificate-authority": str(folder() / "ca.crt")},
                }
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "carnelian-local", "context": {"cluster": "carnelian-local", "user": user}}],
            "current-context": "carnelian-local",
        }
        _secret(kubeconfig(user), yaml.safe_dump(config).encode())
    _secret(folder() / "tokens.csv", ("\n".join(rows) + "\n").encode())


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )


def _write(
    name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, certificate: x509.Certificate | None = None
) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    _secret(folder() / f"{name}.key", pem)
    if certificate:
        (folder() / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
