"""Benchmarks that measure the product beside its peers, in one run.

A bench is a module ``e2e/bench/NAME.py`` with a docstring whose first line says what it measures, and
``async def run(plan: Plan) -> Report``; add NAME to `BENCHES` in ``__main__.py``. What is measured are *contenders*:
small scripts in ``e2e/bench/contenders/`` (see `contenders.serve`), each in a process of its own. Ours and what
shares our environment are started with `Contender.here("link_carnelian", …)`; a peer whose pins clash with ours with
``Contender.apart("limiter_limits", ["limits==5.8.*", "redis<8"], …)``, which gives it an environment of its own.
`interleaved` runs them in turns and gives medians.
"""
