"""Execution in several Python threads, after a fork, in a fresh process, and without the compiler."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.engine.execute import available
from hwsim.formats import Format, Kind
from hwsim.network.file import save
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Accumulator, Geometry, Overflow, Region
from tests.support.agree import COMPILED, U8, add, by_reference, conv, execute, network, random_codes
from tests.support.attention import attention_block, attention_codes

SAME = Geometry((3, 3), padding=(1, 1))


def residual_network() -> tuple[Network, np.ndarray]:
    net = network(
        U8, (3, 8, 9), conv("stem", INPUT, 3, 16, SAME), conv("branch", "stem", 16, 16, SAME),
        add("stem", "branch"), conv("out", "add", 16, 5, Geometry((8, 9)), last=True),
    )  # fmt: skip
    return net, random_codes(1, U8, 9, 3, 8, 9)


def region_network() -> tuple[Network, np.ndarray]:
    low = random_codes(2, Format(4, signed=True), 6, 2, 3, 3).astype(np.int8)
    region = Region(2, 3, 120 << 4, low)
    net = network(U8, (2, 7, 7), conv("fine", INPUT, 2, 6, SAME, region=region), conv("out", "fine", 6, 2, last=True))
    return net, random_codes(3, U8, 5, 2, 7, 7)


def saturating_network() -> tuple[Network, np.ndarray]:
    x, w = Format(4, kind=Kind.MIDRISE), Format(1, kind=Kind.BINARY)
    step = Accumulator(9, Overflow.SATURATE_STEP)
    net = network(
        x, (5, 6, 6), conv("steps", INPUT, 5, 4, Geometry((3, 3), dilation=(2, 1)), w=w, accumulator=step),
        conv("out", "steps", 4, 3, last=True, w=Format(11, signed=True)),
    )  # fmt: skip
    return net, random_codes(4, x, 5, 5, 6, 6)


NETWORKS = {
    "residual": residual_network,
    "region": region_network,
    "saturating": saturating_network,
    "attention": lambda: (attention_block(), attention_codes()),
}


@pytest.mark.parametrize("kernels", available())
def test_several_threads_at_once(kernels):
    """Small and large batches of all networks in eight threads: each call returns its own outputs."""
    cases = [make() for make in NETWORKS.values()]
    jobs = [(net, codes[:n]) for net, codes in cases for n in (1, 3, len(codes))] * 4
    wanted = [by_reference(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for got, right in zip(pool.map(lambda job: execute(*job, kernels), jobs), wanted, strict=True):
            np.testing.assert_array_equal(got.outputs, right.outputs)
            for name, mask in right.masks.items():
                np.testing.assert_array_equal(got.masks[name], mask)


def _child(name: str, samples: int) -> np.ndarray:
    net, codes = NETWORKS[name]()
    return execute(net, codes[:samples]).outputs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_after_execution():
    """A forked process has no worker threads of its parent: small and large batches end with the right outputs."""
    jobs = [(name, samples) for name in NETWORKS for samples in (1, 5)]
    wanted = [_child(*job) for job in jobs]  # the parent has used its threads before it forks
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.starmap_async(_child, jobs).get(timeout=60)
    for got, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, right)
    np.testing.assert_array_equal(_child(*jobs[0]), wanted[0])  # the parent can still execute


def in_fresh_process(folder: Path, script: str, **environment: str) -> str:
    """Run a script in the working directory `folder` with hwsim on its path, and return its standard output."""
    roots = os.pathsep.join([str(Path(hwsim.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": roots, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_compiler_the_definition_runs_and_gives_the_same(tmp_path):
    for name, make in NETWORKS.items():
        net, codes = make()
        save(net, tmp_path / f"{name}.npz")
        np.save(tmp_path / f"{name}.codes.npy", codes)
    printed = in_fresh_process(
        tmp_path,
        """
        import numpy as np
        from pathlib import Path
        from hwsim import execute, load
        from hwsim.engine.execute import available
        for path in Path().glob("*.npz"):
            done = execute(load(path), np.load(f"{path.stem}.codes.npy"))
            np.savez(f"{path.stem}.done", outputs=done.outputs, **done.masks)
        print(*available())
        """,
        NUMBA_DISABLE_JIT="1",
    )
    assert printed.split() == ["definition"]
    for name, make in NETWORKS.items():
        wanted = execute(*make())
        with np.load(tmp_path / f"{name}.done.npz") as found:
            assert found["outputs"].dtype == np.int32
            np.testing.assert_array_equal(found["outputs"], wanted.outputs)
            for layer, mask in wanted.masks.items():
                np.testing.assert_array_equal(found[layer], mask)


@pytest.mark.skipif(not COMPILED, reason="no compiler")
def test_single_samples_at_once_on_more_threads_than_cores(tmp_path):
    """Five threads share each sample and wait at barriers: six samples at once must not deadlock."""
    net, codes = residual_network()
    save(net, tmp_path / "net.npz")
    np.save(tmp_path / "codes.npy", codes)
    in_fresh_process(
        tmp_path,
        """
        import numba, numpy as np, sys
        from concurrent.futures import ThreadPoolExecutor
        from hwsim import execute, load
        net, codes = load("net.npz"), np.load("codes.npy")
        assert numba.get_num_threads() == 5
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(6) as pool:
            single = list(pool.map(lambda n: execute(net, codes[n : n + 1]).outputs, [*range(len(codes))] * 20))
        np.save("outputs.npy", np.concatenate(single))
        """,
        NUMBA_NUM_THREADS="5",
    )
    wanted = np.tile(by_reference(net, codes).outputs, (20, 1))
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), wanted)


@pytest.mark.skipif(not COMPILED, reason="no compiler")
def test_a_fresh_process_with_a_warm_cache_compiles_nothing(tmp_path):
    net, codes = residual_network()
    wanted = execute(net, codes).outputs  # fills the disk cache
    save(net, tmp_path / "net.npz")
    np.save(tmp_path / "codes.npy", codes)
    printed = in_fresh_process(
        tmp_path,
        """
        import numpy as np
        from numba.core import event
        from hwsim import execute, load
        with event.install_recorder("numba:compile") as compilations:
            outputs = execute(load("net.npz"), np.load("codes.npy")).outputs
        np.save("outputs.npy", outputs)
        print(*{str(what.data["dispatcher"]) for _, what in compilations.buffer})
        """,
    )
    assert printed.split() == []
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), wanted)
