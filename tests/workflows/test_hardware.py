import sys

import pytest
import torch
from torch import nn

from leyden.workflows import hardware
from leyden.workflows.hardware import precision_of

CONVOLUTION = nn.Sequential(nn.Conv2d(1, 2, 3))
MATRIX = nn.Sequential(nn.Linear(2, 2))


def fitting_precision(network, accelerator):
    return precision_of({"precision": "auto", "accelerator": accelerator}, network)


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Make a function that sets the instruction sets of the CPU."""

    def set_flags(words):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(f"processor : 0\nflags : fpu {words} sse2\n")
        monkeypatch.setattr(hardware, "CPUINFO", cpuinfo)

    return set_flags


@pytest.mark.parametrize("words", ["avx512_bf16", "amx_tile amx_bf16"])
def test_convolutions_use_bfloat16_if_the_cpu_multiplies_in_it(words, flags):
    flags(words)

    assert fitting_precision(CONVOLUTION, "cpu") == "bf16-mixed"


def test_other_networks_use_float32(flags):
    flags("avx512_bf16")

    assert fitting_precision(MATRIX, "cpu") == "32-true"


def test_other_machines_use_float32(flags, tmp_path, monkeypatch):
    flags("avx512f avx512_bf160")
    assert fitting_precision(CONVOLUTION, "cpu") == "32-true"

    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "nowhere")
    assert fitting_precision(CONVOLUTION, "cpu") == "32-true"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_is_asked_whether_it_supports_bfloat16(native, expected, flags, monkeypatch):
    flags("avx512_bf16")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: native)

    assert fitting_precision(CONVOLUTION, "auto") == expected
    assert fitting_precision(CONVOLUTION, "gpu") == expected


def test_an_explicit_precision_is_kept(flags):
    flags("avx512_bf16")

    assert precision_of({"precision": "64-true", "accelerator": "cpu"}, CONVOLUTION) == "64-true"


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are reset on Linux alone")
def test_the_peak_of_memory_is_of_this_run_alone():
    held = torch.ones(2**26, dtype=torch.uint8)
    before = hardware.peak_memory()["main"]
    assert before > held.numel()
    del held
    hardware.reset_peak_memory()
    assert hardware.peak_memory()["main"] < before - 2**25


def test_of_several_gpus_the_fullest_counts(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", [5, 7].__getitem__)
    assert hardware.peak_memory()["gpu"] == 7
