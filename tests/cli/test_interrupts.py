"""Ctrl-C at random moments: exit code 130 with one line, nothing hangs, nothing is lost."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim import interrupt
from tests.support.interrupts import ended, interrupted_command, start
from tests.support.interrupts import interrupt as send
from tests.support.small_network import small_network

STOPPED = "hwsim: stopped. Finished work is kept: run the same command again to continue."
INTERRUPTED = "hwsim: interrupted"

SWEEP = """
[study]
name = "interrupted"
[base]
dataset = "breast_cancer"
model = { name = "mlp", hidden = [32], epochs = 120, batch = 16 }
game = { models = 10, samples = 300, calibration = 64 }
attacks = ["loss", "lira"]
[axes]
quantizer = ["float32", "minmax", { name = "minmax", w_bits = 4 }, { name = "lsq", w_bits = 2, epochs = 20 }, "drq"]
accelerator = ["tpu_like", "drq_like"]
seed = [0, 1]
"""

EXECUTE = """
import dataclasses, signal, sys, numpy as np, hwsim
from hwsim.engine.execute import SCHEDULE
shared = dataclasses.replace(SCHEDULE, min_shared_work=0)
net, codes = hwsim.load("net.npz"), np.load("codes.npy")
wanted = hwsim.execute(net, codes, "definition").outputs
hwsim.execute(net, codes, schedule=shared)
answered = heard = raised = caught = 0
armed = False

def on_signal(*_):
    global heard, raised
    heard += 1
    if armed:
        raised += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, on_signal)
print("started", flush=True)
while answered < int(sys.argv[1]):
    try:
        armed = True
        while heard == answered:
            for samples in (5, 64):  # step by step, and chunk by chunk
                outputs = hwsim.execute(net, codes[:samples], schedule=shared).outputs
                assert (outputs == wanted[:samples]).all()
        armed = False
    except KeyboardInterrupt:
        caught += 1
        armed = False
    answered += 1
    print("caught", answered, flush=True)
assert (hwsim.execute(net, codes, schedule=shared).outputs == wanted).all()
assert caught == raised, (caught, raised)
"""
"""Executes on four threads, again and again; each interrupt is answered before the next one is sent."""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    net = small_network()
    hwsim.save(net, tmp_path / "net.npz")
    codes = np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8)).astype(np.uint8)
    np.save(tmp_path / "codes.npy", codes)
    return tmp_path


def interrupt_execution(folder: Path, times: int) -> None:
    """Interrupt executions in one process `times` times at random moments: all are heard, all threads go on."""
    moments = random.Random(times)
    process = start(["-c", EXECUTE, str(times)], cwd=folder, env={"NUMBA_NUM_THREADS": "4"})
    hung = threading.Timer(300 + times, process.kill)
    hung.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    for number in range(1, times + 1):
        threading.Event().wait(moments.uniform(0, 0.005))
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == f"caught {number}\n"
    code, _, err = ended(process)
    hung.cancel()
    assert (code, err) == (0, "")


def interrupt_commands(arguments: list[str], times: int, longest: float, folder: Path) -> Counter[int]:
    """Interrupt a command at random moments; return the number of each exit code."""
    codes: Counter[int] = Counter()
    moments = random.Random(times)
    for _ in range(times):
        code, _, err = interrupted_command(arguments, moments.uniform(0, longest), cwd=folder)
        assert "Traceback" not in err, err
        if code != 0:  # 0: it had ended before
            assert code == 130, (code, err)
            assert err.splitlines()[-1].removeprefix("\x1b[?25h") in (STOPPED, INTERRUPTED), err
        codes[code] += 1
    return codes


def test_interrupts_of_executions_in_one_process(network):
    interrupt_execution(network, 25)


def test_interrupts_of_a_command_from_its_first_import_on(network):
    codes = interrupt_commands(["cycles", "resnet18"], 6, 1.0, network)
    assert codes[130]


def test_an_interrupt_of_the_first_compilation(network, tmp_path):
    """Numba's cache is empty: the compilation of the kernels takes many seconds, and is interrupted."""
    arguments = ["explain", "net.npz"], ["cycles", "net.npz"]
    for one in arguments:
        code, _, err = interrupted_command(one, 2.0, cwd=network, env={"NUMBA_CACHE_DIR": str(tmp_path / "empty")})
        assert code in (0, 130)
        assert "Traceback" not in err


def test_a_shell_that_ignores_the_signal_is_obeyed(network):
    process = start(
        ["-c", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from hwsim.cli import main; main()",
         "cycles", "resnet18"], cwd=network,
    )  # fmt: skip
    threading.Event().wait(0.3)
    send(process)
    code, out, _ = ended(process)
    assert code == 0
    assert out


def test_an_interrupt_that_the_code_has_dropped_ends_the_process():
    script = (
        "import time; from hwsim import interrupt; interrupt.GRACE_SECONDS = 0.5; interrupt.listen()\n"
        "word = 'started'\n"
        "while True:\n"
        "    try: print(word, flush=True); time.sleep(60)\n"
        "    except BaseException: word = 'dropped'\n"
    )
    process = start(["-c", script])
    assert process.stdout.readline() == "started\n"
    send(process)
    assert process.stdout.readline() == "dropped\n"
    code, _, err = ended(process)
    assert (code, err) == (130, f"{INTERRUPTED}\n")


def test_a_second_interrupt_ends_the_process_at_once():
    script = (
        "import time; from hwsim import interrupt; interrupt.GRACE_SECONDS = 300; interrupt.listen()\n"
        "word = 'started'\n"
        "while True:\n"
        "    try: print(word, flush=True); time.sleep(60)\n"
        "    except KeyboardInterrupt: word = 'dropped'\n"
    )
    process = start(["-c", script])
    assert process.stdout.readline() == "started\n"
    send(process)
    assert process.stdout.readline() == "dropped\n"
    send(process)
    assert ended(process)[0] == 130


def test_an_import_ends_at_once(tmp_path):
    (tmp_path / "slow.py").write_text("import time\nprint('started', flush=True)\ntry: time.sleep(60)\nexcept: pass\n")
    process = start(["-c", "from hwsim import interrupt; interrupt.listen()\nimport slow\nprint('lost')"], cwd=tmp_path)
    assert process.stdout.readline() == "started\n"
    send(process)
    assert ended(process) == (130, "", f"{INTERRUPTED}\n")


def test_a_deferred_interrupt_comes_after_the_block():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []
    try:
        with pytest.raises(KeyboardInterrupt), interrupt.deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("all")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["all"]


def test_interrupts_of_a_sweep(tmp_path):
    (tmp_path / "study.toml").write_text(SWEEP)
    codes = interrupt_commands(["sweep", "study.toml", "-o", "out", "-j", "2"], 2, 8.0, tmp_path)
    assert sum(codes.values()) == 2


@pytest.mark.long
def test_a_thousand_interrupts(network):
    """Seven hundred in executions, the others in commands and sweeps with their workers: all are heard."""
    interrupt_execution(network, 700)
    (network / "study.toml").write_text(SWEEP)
    codes = interrupt_commands(["cycles", "resnet18"], 150, 2.0, network)
    codes += interrupt_commands(["explain", "net.npz"], 100, 2.0, network)
    codes += interrupt_commands(["sweep", "study.toml", "-o", "out", "-j", "2"], 50, 15.0, network)
    assert codes[130] > 150
