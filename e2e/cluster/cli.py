"""The command line of the local cluster."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e.cluster import images, local, rootfs, toolchain
from e2e.cluster.fault_cli import add_fault_commands
from e2e.cluster.paths import kubeconfig
from e2e.cluster.progress import say, step
from e2e.cluster.shell import HarnessError

_ABOUT = """A real three-node Kubernetes on this machine, without Docker or an image registry.

  python -m e2e.cluster up                       start it (builds what is missing, once a machine)
  eval "$(python -m e2e.cluster env)"            KUBECONFIG, and kubectl and helm on PATH
  kubectl get nodes
  python -m e2e.cluster load-image --build       import the operator as the sources are now
  python -m e2e.cluster fault cut-link 2         pull node 2's network cable; `heal-link 2` plugs it back
  python -m e2e.cluster down                     remove every trace; the cache of programs and images stays
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their help."""
    root = argparse.ArgumentParser(
        prog="python -m e2e.cluster", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", "start the cluster; returns at once when it runs", lambda _: local.up())
    add("down", "remove the cluster and everything that it made on this machine", lambda _: local.down())
    add("status", "say what runs; exit status 1 when it is not whole", _status)
    add("env", "print shell lines that set KUBECONFIG and PATH, for eval", _env)
    load = add("load-image", "import image archives (docker save, buildah push docker-archive:) into all nodes", _load)
    load.add_argument("archive", nargs="*", type=Path, help="tar file of an image")
    load.add_argument("--build", action="store_true", help="build the repository's own images and import those")
    build = add("build", "build programs and images into the cache without starting anything", _build)
    build.add_argument("--servers", action="store_true", help="only the real Redis and Valkey, as processes need them")
    build.add_argument(
        "--tools", nargs="*", metavar="NAME", help="only programs that are built from Go modules: those named, or all"
    )
    add_fault_commands(commands.add_parser("fault", help="do a fault or take it back; --help lists them"))
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; problems are told in words, with exit status 1."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def _status(_: argparse.Namespace) -> None:
    print(local.describe())
    if not local.is_healthy():
        raise HarnessError("the cluster is not whole; `up` starts it anew")


def _env(_: argparse.Namespace) -> None:
    if not kubeconfig().exists():
        raise HarnessError("no local cluster on this machine; start one with `python -m e2e.cluster up`")
    print(f"export KUBECONFIG={shlex.quote(str(kubeconfig()))}")
    print(f'export PATH={shlex.quote(str(toolchain.bin_dir()))}:"$PATH"')


def _load(arguments: argparse.Namespace) -> None:
    if not arguments.archive and not arguments.build:
        raise HarnessError("name an archive, or say --build for the repository's own images")
    if arguments.build:
        local.load_images([images.build_image(target) for target in images.TARGETS])
    for path in arguments.archive:
        local.import_archive(path)


def _build(arguments: argparse.Namespace) -> None:
    everything = not arguments.servers and arguments.tools is None
    if arguments.servers or everything:
        for engine in rootfs.ENGINES:
            say(f"{engine} {rootfs.ensure_engine(engine).version} is built")
    if arguments.tools is not None or everything:
        with step("programs"):
            toolchain.build(set(arguments.tools or ()) or None)
    if everything:
        images.all_archives()
