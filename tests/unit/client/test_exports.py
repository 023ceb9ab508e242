"""The public surface: its names, and that importing the contract brings no client along."""

import subprocess
import sys
import textwrap

import pytest

import carnelian

pytestmark = pytest.mark.unit

EXPORTED = {
    "AuthError",
    "Carnelian",
    "CarnelianError",
    "ConfigurationError",
    "DeadlineError",
    "Durability",
    "DurabilityError",
    "Limiter",
    "PolicyError",
    "RateLimitedError",
    "ServerError",
    "UnavailableError",
    "Verdict",
    "__version__",
}


def test_the_exported_names_are_these() -> None:
    assert set(carnelian.__all__) == EXPORTED == set(dir(carnelian))
    for name in EXPORTED:
        assert getattr(carnelian, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cranelian'"):
        _ = carnelian.Cranelian


def test_the_contract_loads_no_client() -> None:
    check = """
        import sys
        import carnelian, carnelian.policies, carnelian.policies.wire
        loaded = {name for name in sys.modules if name.startswith(("carnelian.", "redis", "hiredis", "asyncio"))}
        assert all(name.startswith(("carnelian.policies", "carnelian.errors")) for name in loaded), loaded
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(check)], check=True)
