"""Contracts: tests to inherit for your own classes."""

import pytest

# So that an assertion that fails says which values it was about.
pytest.register_assert_rewrite("leyden.testing.data_contract", "leyden.testing.network_contract")
