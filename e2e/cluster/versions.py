"""What is built from Go modules, at which version, and the key of that set in the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

KUBERNETES = "1.34.4"
HELM = "3.19.0"
_STAGING = f"0.{KUBERNETES.split('.', 1)[1]}"
_KUBE_VERSION = "k8s.io/component-base/version"

# k8s.io/kubernetes replaces its staging modules by folders, so a module of our own repeats them by version.
STAGING_MODULES = (
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "cloud-provider",
    "cluster-bootstrap",
    "code-generator",
    "component-base",
    "component-helpers",
    "controller-manager",
    "cri-api",
    "cri-client",
    "csi-translation-lib",
    "dynamic-resource-allocation",
    "endpointslice",
    "externaljwt",
    "kms",
    "kube-aggregator",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics",
    "mount-utils",
    "pod-security-admission",
    "sample-apiserver",
    "sample-cli-plugin",
    "sample-controller",
)


@dataclass(frozen=True)
class GoTool:
    """A program of a Go module.

    Attributes:
        name: File name of the binary.
        module: Module path.
        version: Module version, without the `v`.
        package: Package of the program, relative to the module; empty for its root.
        variables: Link-time variables, such as the version that it reports.
    """

    name: str
    module: str
    version: str
    package: str = ""
    variables: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """What `go build` builds."""
        return f"{self.module}/{self.package}" if self.package else self.module

    @property
    def replacements(self) -> list[str]:
        """Arguments of `go mod edit` that the module needs."""
        if self.module != "k8s.io/kubernetes":
            return []
        return [f"-replace=k8s.io/{name}=k8s.io/{name}@v{_STAGING}" for name in STAGING_MODULES]


def _kube(name: str) -> GoTool:
    minor = KUBERNETES.split(".")[1]
    stamps = (f"gitVersion=v{KUBERNETES}", "gitMajor=1", f"gitMinor={minor}")
    return GoTool(name, "k8s.io/kubernetes", KUBERNETES, f"cmd/{name}", tuple(f"{_KUBE_VERSION}.{s}" for s in stamps))


_HELM_STAMPS = (
    f"helm.sh/helm/v3/internal/version.version=v{HELM}",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1",
    f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={KUBERNETES.split('.')[1]}",
)

TOOLS: tuple[GoTool, ...] = (
    *map(_kube, ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")),
    GoTool("etcd", "go.etcd.io/etcd/server/v3", "3.6.5"),
    GoTool("coredns", "github.com/coredns/coredns", "1.12.4"),
    GoTool("helm", "helm.sh/helm/v3", HELM, "cmd/helm", _HELM_STAMPS),
    GoTool("kubeconform", "github.com/yannh/kubeconform", "0.7.0", "cmd/kubeconform"),
)

# Only for machines whose Docker can pull images; not in the key, and not built with the others.
KIND = GoTool("kind-v0.30.0", "sigs.k8s.io/kind", "0.30.0")


def key(tools: tuple[GoTool, ...] = TOOLS, pause_source: str = "") -> str:
    """Name of the cache folder: the Kubernetes version, and a hash of everything that decides the binaries."""
    text = "\n".join(repr(tool) for tool in tools) + pause_source
    return f"kubernetes-{KUBERNETES}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
