"""Contract of every dataflow in the registry, and that no other file of the package names one."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import hwsim
from hwsim import registry
from hwsim.errors import Infeasible
from hwsim.kernels.machine.tiling_search import CHANNELS, FILTERS, PIXELS
from hwsim.machine.dataflow.base import Dataflow, FoldOverheads, PortLimits, preload_overheads, scratchpad_limits
from hwsim.machine.dataflow.hardware import Hardware
from hwsim.machine.dataflow.row_stationary_pass import Pass
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.pe.base import Rate
from hwsim.machine.timing.layer_cycles import WAITS, WORK
from hwsim.machine.timing.tile_schedule import tile_steps
from hwsim.machine.trace.pe_utilization import pe_utilization
from hwsim.machine.trace.timeline import timeline
from hwsim.network.product import Product
from hwsim.registry import build, family
from tests.support.machines import machines, make, products

ROOT = Path(hwsim.__file__).parent
NAMES = sorted(family("dataflow"))
RUN: dict[str, Any] = {"deadline": None, "derandomize": True}


class FiltersDown(Dataflow):
    """A dataflow that hwsim lacks: weights stay, filters lie along the rows and the reduction along the columns."""

    name = "filters_down"
    rows_loop, cols_loop, streamed = FILTERS, CHANNELS, PIXELS
    load_port = "weight"

    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Inputs of all columns, sums of all rows."""
        depth, filters = min(product.reduction, hardware.array.cols), min(product.filters, hardware.array.rows)
        wavefront = {"ifmap": depth * product.a_bits, "ofmap": filters * 2 * hardware.psum_bits}
        return scratchpad_limits(hardware, rate, wavefront, load=("weight", depth * product.stored_w_bits))

    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """As of the other preloaded arrays."""
        return preload_overheads(hardware, ports)


def check_every_view_agrees(accelerator: Accelerator, product: Product) -> None:
    """Cycles of the layer = its schedule summed = its timeline = its PE utilization."""
    try:
        (report,) = layer_reports(accelerator, [("layer", product)])
    except Infeasible:
        return
    steps = tile_steps(accelerator, derive_mapping(accelerator, product))
    assert {name: int(steps[name].sum()) for name in (*WORK, *WAITS)} == {
        name: report.cycles[name] for name in CAUSES if name != "vector"
    }
    assert sum(e.cycles for e in timeline(accelerator, [("layer", product)]) if e.track == "array") == (
        report.total_cycles
    )
    states = pe_utilization(accelerator, [("layer", product)])
    assert states.pe_cycles.sum() == report.total_cycles * accelerator.pes
    busy = round(report.utilization * report.total_cycles * accelerator.pes)
    assert abs(int(states.pe_cycles[0].sum()) - busy) <= 1


@settings(max_examples=60, **RUN)
@given(machines(), products())
def test_every_view_of_a_layer_has_the_same_cycles(parameters: dict[str, Any], product: Product) -> None:
    check_every_view_agrees(make(parameters), product)


@settings(max_examples=60, **RUN)
@given(machines(("ws",)), products())
def test_a_new_dataflow_is_one_class(parameters: dict[str, Any], product: Product) -> None:
    """Search, cycles, schedule, timeline and utilization follow from the class alone."""
    check_every_view_agrees(make(parameters, dataflow=FiltersDown()), product)


def test_exchanged_rows_and_columns_exchange_the_folds() -> None:
    """On a square array, filters down is weight stationary with the operands' sides exchanged."""
    tiny = build("accelerator", "tiny")
    other = build("accelerator", "tiny", dataflow=FiltersDown())
    for product in (Product(37, 4, 4), Product(9, 30, 3), Product(5, 3, 30)):
        a, b = (derive_mapping(accelerator, product) for accelerator in (tiny, other))
        assert (a.tiles["folds"].sum(), a.tiles["stream"].sum()) == (b.tiles["folds"].sum(), b.tiles["stream"].sum())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_called_as_registered_and_reads_back(name: str) -> None:
    flow = build("dataflow", name)
    assert isinstance(flow, Dataflow)
    assert flow.name == str(flow) == name
    accelerator = (
        next(build("accelerator", a) for a, r in family("accelerator").items() if r.defaults["dataflow"] == name)
        if name != "is"
        else build("accelerator", "tiny", dataflow=name)
    )
    assert accelerator.model_dump()["dataflow"] == name
    assert registry.validate(Accelerator, accelerator.model_dump(), "accelerator") == accelerator


@pytest.mark.parametrize("name", NAMES)
def test_hidden_loads_are_never_slower(name: str) -> None:
    """A second register changes nothing but the load; dataflows without a load ignore it."""
    if build("dataflow", name).needs_register_file:
        pytest.skip("no stationary operand is loaded through the array")
    one, two = (build("accelerator", "tiny", dataflow=name, array={"weight_buffers": n}) for n in (1, 2))
    flow, product = one.dataflow, Product(40, 40, 40)
    ports = flow.port_limits(one, product, Rate(1, 1))
    plain, hidden = flow.overheads(one, product, ports), flow.overheads(two, product, ports)
    assert hidden.hidden == bool(flow.load_port)
    assert not plain.hidden
    if hidden.hidden:
        assert hidden.exposed == 0
        assert hidden.min_interval >= hidden.load + hidden.fill_drain


def string_constants(path: Path) -> set[str]:
    """String constants of a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    }


def test_each_dataflow_is_named_in_its_own_file_only() -> None:
    own = {name: Path(inspect.getfile(record.factory)) for name, record in family("dataflow").items()}
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in ROOT.rglob("*.py")
        for name in string_constants(path) & set(NAMES)
        if path != own[name]
    }
    assert not found
