"""Contracts: classes of tests that the tests of one's own classes inherit."""

import pytest

# Failed assertions of these modules then show their values, as in test files.
pytest.register_assert_rewrite("leyden.testing.data_contract", "leyden.testing.network_contract")
