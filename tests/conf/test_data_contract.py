"""The contract of data modules, tested on each option of data."""

import pytest

from leyden.config.compose import compose, freeze
from leyden.testing.data_contract import DataContract
from leyden.workflows.assembly import build_data


class TestEveryDataOption(DataContract):
    @pytest.fixture(autouse=True)
    def options_of_the_kind(self, kind):
        self.kind = kind

    def make(self, **options):
        splitter = options.pop("splitter", None)
        changed = [f"++data.{name}={value}" for name, value in options.items()]
        data = build_data(freeze(compose([*self.kind, *changed])))
        data.splitter = splitter or data.splitter
        return data

    def test_folds_share_no_test_row(self):
        if "data=mandarin_strings" not in self.kind:  # its rows combine clips of a fixed split
            super().test_folds_share_no_test_row()
