"""Built-in workloads: their sizes against published counts, and how they are found."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim.errors import HwsimError, UnknownName
from hwsim.interop.topology.builtin import load_workload, workloads
from hwsim.interop.topology.csv_reader import parse_topology
from hwsim.interop.topology.topology import Topology

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"
GEMM = "Layer, M, N, K"


def macs(name: str, scale: int = 1) -> dict[str, int]:
    """MACs of each layer of a built-in workload."""
    return {layer.name: scale * layer.product.macs for layer in load_workload(name).layers}


def weights(name: str, counts: Callable[[str], bool] = lambda name: True) -> int:
    """Number of weights of the layers whose names count."""
    products = [layer.product for layer in load_workload(name).layers if counts(layer.name)]
    return sum(p.groups * p.reduction * p.filters for p in products)


TOTALS = {
    "resnet18": 1_814_073_344,  # SCALE-Sim v3 at exact shapes, see tests/golden; torchvision: 1.81 G
    "resnet20": 40_551_040,  # 27*16*32^2 + 144*16*32^2*6 + (144+288*5)*32*16^2 + (288+576*5)*64*8^2 + 640
    "alexnet": 724_406_816,  # the convolutions below, and 9216*4096 + 4096^2 + 4096*1000
    "vgg16": 15_470_264_320,  # torchvision, VGG16_Weights: 15.47 G
    "mobilenet_v1": 568_740_352,  # tensorflow/models research/slim/nets/mobilenet_v1.md: 569 M
    "lenet5": 416_520,  # 117,600 + 240,000 + 48,000 + 10,080 + 840
    "vit_b16": 17_563_828_224,  # torchvision, ViT_B_16_Weights: 17.56 G
    "bitfusion_alexnet": 2_678_604_864,  # these eight: see the tests by layer below
    "bitfusion_svhn": 158_017_536,
    "bitfusion_cifar10": 616_966_144,
    "bitfusion_lenet5": 16_028_672,
    "bitfusion_vgg7": 317_456_384,
    "bitfusion_resnet18": 4_269_375_488,
    "bitfusion_rnn": 16_777_216,
    "bitfusion_lstm": 12_960_000,
}


def test_total_macs() -> None:
    assert {name: load_workload(name).macs for name in workloads()} == TOTALS


def test_numbers_of_weights() -> None:
    """Parameters of torchvision's models (num_params on its pages), without biases, norms and embeddings."""
    norms = 2 * (64 * 5 + 128 * 5 + 256 * 5 + 512 * 5)
    assert weights("resnet18") == 11_689_512 - norms - 1000
    assert weights("vgg16") == 138_357_544 - (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 4096 + 1000)
    biases = 768 + 12 * (2304 + 768 + 3072 + 768) + 1000
    embeddings_and_norms = 198 * 768 + 25 * 2 * 768
    no_attention = weights("vit_b16", lambda name: not name.endswith(("scores", "context")))
    assert no_attention == 86_567_656 - biases - embeddings_and_norms
    # akamaster/pytorch_resnet_cifar10: 0.27 M, norms and biases included; tf.keras.applications.mobilenet: 4.2 M
    assert round((weights("resnet20") + 2 * (16 * 7 + 32 * 6 + 64 * 6) + 10) / 1e6, 2) == 0.27
    assert round(weights("mobilenet_v1") / 1e6, 1) == 4.2


def golden_resnet18() -> dict[str, tuple[int, int, int]]:
    """M, K, N from SCALE-Sim's own run at exact shapes (its provenance: tests/machine/timing/test_layer_cycles.py)."""
    text = (Path(__file__).parents[2] / "golden" / "resnet18_scalesim_32x32.csv").read_text()
    rows = csv.DictReader(text.splitlines())
    return {row["layer"]: (int(row["pixels"]), int(row["reduction"]), int(row["filters"])) for row in rows}


def shapes(topology: Topology) -> dict[str, tuple[int, int, int]]:
    return {
        layer.name: (layer.product.pixels, layer.product.reduction, layer.product.filters) for layer in topology.layers
    }


def test_resnet18_has_the_shapes_of_scalesims_run() -> None:
    assert shapes(load_workload("resnet18")) == golden_resnet18()


def test_scalesims_own_topology_gives_the_shapes_of_its_run() -> None:
    """The exact-shape topology: maps of (Ho - 1) s + k, so that rounding up gives the true output size."""
    rows = []
    for layer in load_workload("resnet18").layers:
        window = layer.product.window
        assert window is not None
        (out, _), k, s = window.output, window.geometry.kernel[0], window.geometry.stride[0]
        size = (out - 1) * s + k
        channels = layer.product.reduction // k**2
        rows.append(f"{layer.name},{size},{size},{k},{k},{channels},{layer.product.filters},{s},")
    assert rows[0] == "conv1,229,229,7,7,3,64,2,"
    assert shapes(parse_topology("\n".join([f"{CONV},", *rows]), "resnet18.csv")) == golden_resnet18()


def test_alexnet_convolutions_equal_those_of_eyeriss() -> None:
    """MACs of 4 images, Eyeriss (Chen et al., JSSC 2017): 0.42, 0.90, 0.60, 0.45, 0.30 G, in all 2.66 G."""
    layers = list(macs("alexnet", 4).values())[:5]
    assert [round(n / 1e9, 2) for n in layers] == [0.42, 0.90, 0.60, 0.45, 0.30]
    assert sum(layers) == 2_663_139_456


def test_lenet5_has_the_connections_of_its_paper() -> None:
    """LeCun et al. 1998: connections, one bias for each output included, of C1, C5 and F6."""
    got = {
        layer.name: layer.product.macs + layer.product.pixels * layer.product.filters
        for layer in load_workload("lenet5").layers
    }
    assert (got["c1"], got["c5"], got["f6"]) == (122_304, 48_120, 10_164)


def test_mobilenet_is_depthwise_every_other_layer() -> None:
    products = [layer.product for layer in load_workload("mobilenet_v1").layers]
    assert [p.filters == 1 and p.reduction == 9 for p in products] == [i % 2 == 1 and i < 27 for i in range(28)]
    assert products[25].groups == 1024


def test_attention_heads_are_groups() -> None:
    scores, context = (
        layer.product for layer in load_workload("vit_b16").layers if layer.name in ("block0.scores", "block0.context")
    )
    assert (scores.groups, scores.pixels, scores.reduction, scores.filters) == (12, 197, 64, 197)
    assert (context.groups, context.pixels, context.reduction, context.filters) == (12, 197, 197, 64)
    assert scores.ifmap_elements == 197 * 768


# hsharma35/bitfusion, results/eyeriss_results.csv: column ALU, MACs of 16 images
EYERISS_16 = {
    "bitfusion_svhn": [28311552, 603979776, 301989888, 603979776, 301989888, 603979776, 67108864, 16777216, 163840],
    "bitfusion_cifar10": [
        *(56623104, 2415919104, 1207959552, 2415919104, 1207959552, 2415919104),
        *(134217728, 16777216, 163840),
    ],
    "bitfusion_lenet5": [13107200, 209715200, 33554432, 81920],
    "bitfusion_vgg7": [56623104, 56623104, 1207959552, 1207959552, 1207959552, 1207959552, 134217728],
    "bitfusion_rnn": [268435456],
    "bitfusion_lstm": [207360000],
}


@pytest.mark.parametrize("name", EYERISS_16)
def test_bitfusions_networks_have_the_macs_of_its_result_file(name: str) -> None:
    assert list(macs(name, 16).values()) == EYERISS_16[name]


# hsharma35/bitfusion, results/bitfusion-eyeriss-sim-sweep.csv: column IBUF Read, bits for 16 images, one read for each
# MAC. AlexNet: rows of 4,096 bits per cycle, without conv2 and fc3, which its tiling rounds up; ResNet-18: of 192.
IBUF_READ = {
    "bitfusion_alexnet": {
        **dict.fromkeys(("conv1_a", "conv1_b"), 13493145600),
        **dict.fromkeys(("conv3_a", "conv3_b"), 19138609152),
        **dict.fromkeys(("conv4_a", "conv4_b"), 14353956864),
        **dict.fromkeys(("conv5_a", "conv5_b"), 9569304576),
        "fc1": 9663676416,
        "fc2": 4294967296,
    },
    "bitfusion_resnet18": {
        "conv1_a": 30211571712,
        **{f"conv{stage}_1_a": 1644167168 for stage in (3, 4, 5)},
        **dict.fromkeys(("conv2_1_a", "conv2_2_a", "conv3_2_a", "conv4_2_a", "conv5_2_a"), 3288334336),
        **{f"conv{stage}_{i}_b": 29595009024 for stage in (2, 3, 4, 5) for i in (1, 2)},
    },
}


@pytest.mark.parametrize("name", IBUF_READ)
def test_bitfusions_wide_networks_have_the_reads_of_its_simulator(name: str) -> None:
    reads = {layer.name: 16 * layer.product.macs * layer.product.a_bits for layer in load_workload(name).layers}
    assert {layer: bits for layer, bits in reads.items() if layer in IBUF_READ[name]} == IBUF_READ[name]
    assert len(reads) - len(IBUF_READ[name]) == (3 if name == "bitfusion_alexnet" else 0)


@pytest.mark.parametrize("name", sorted(TOTALS))
def test_built_in_workloads_are_complete(name: str) -> None:
    topology = load_workload(name)
    assert topology.notes == () and topology.ambiguous == () and topology.name == name
    assert len({layer.name for layer in topology.layers}) == len(topology.layers)
    assert len(workloads()[name]) > 10


@pytest.mark.parametrize("accelerator", ["tpu_like", "bitfusion_like"])
def test_built_in_workloads_fit_an_accelerator(accelerator: str) -> None:
    from hwsim.machine.mapping.mapping import derive_mapping
    from hwsim.registry import build

    made = build("accelerator", accelerator)
    for name in workloads():
        for layer in load_workload(name).layers:
            derive_mapping(made, layer.product)  # raises Infeasible for operands that its PE cannot multiply


def test_the_readme_names_every_file() -> None:
    text = (Path(__file__).parents[3] / "accel_models" / "topologies" / "README.md").read_text(encoding="utf-8")
    for name, total in TOTALS.items():
        assert f"| {name} | {total:,} |" in text


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet5").write_text(f"{GEMM}\na,1,2,3\n")
    Path("mine").write_text(f"{GEMM}\na,1,2,3\n")
    Path("resnet18.csv").write_text(f"{GEMM}\na,1,2,3\n")
    assert load_workload("lenet5").macs == 416_520
    for file in ("./lenet5", "mine", "resnet18.csv", Path("lenet5"), tmp_path / "mine"):
        assert load_workload(file).macs == 6
    with pytest.raises(HwsimError, match=r"vgg16\.csv: cannot be read: No such file"):
        load_workload("vgg16.csv")
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'") as caught:
        load_workload("resnet-18")
    assert str(caught.value).startswith(
        "workload (a name, or the path of a .csv file): got resnet-18; allowed: alexnet,"
    )


def test_output_size_applies_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(f"{CONV}\na,56,56,3,3,64,64,1\n")
    assert load_workload(tmp_path / "net.csv", "padded").layers[0].product.pixels == 56 * 56
