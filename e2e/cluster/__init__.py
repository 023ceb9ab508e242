"""The local cluster: a real three-node Kubernetes on one machine, without Docker or an image registry.

`python -m e2e.cluster --help` is the command line; `e2e.cluster.provider.ensure_cluster` is what tests call.
"""
