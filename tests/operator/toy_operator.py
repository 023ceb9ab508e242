"""An operator with the toy controller, to be run as a process: ``python -m tests.operator.toy_operator``."""

import asyncio
import sys
from pathlib import Path

from carnelian_operator.runtime import logs
from carnelian_operator.runtime.operator import Operator, Settings
from tests.operator.timing import LEASE_TIMES, WATCH_TIMES
from tests.operator.toys import ToyController


def main(kubeconfig: str, namespace: str, identity: str) -> None:
    """Run until a signal comes."""
    logs.configure("INFO", "json", identity=identity)
    settings = Settings(
        kubeconfig=Path(kubeconfig),
        namespaces=(namespace,),
        lease_namespace=namespace,
        health_port=0,
        lease=LEASE_TIMES,
        watches=WATCH_TIMES,
    )

    async def run() -> None:
        await Operator(settings, lambda runtime: [ToyController(runtime)], identity).run()

    asyncio.run(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
