import pytest
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh


@pytest.fixture
def alone(tmp_path):
    """Give a mesh of one rank, which this process is."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()
