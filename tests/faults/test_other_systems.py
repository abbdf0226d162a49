"""What stands only on POSIX systems is done without where it does not stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The libraries are loaded first: what they do on which system is their affair.
WITHOUT = """
import importlib, os, pkgutil, signal, sys, tempfile
from pathlib import Path
import matplotlib.pyplot, numba, polars, rich.progress, safetensors.numpy, scipy.sparse, scipy.stats
import subprocess, threadpoolctl, typer

for name in ("fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
POSIX = "chown fork geteuid getloadavg getpgid getuid killpg mkfifo nice sched_getaffinity setsid"
POSIX += " sched_getscheduler"
for name in POSIX.split():
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "setitimer"):
    delattr(signal, name)
readable = Path.open

def no_proc(path, *arguments, **options):
    if str(path).startswith(("/proc", "/sys")):
        raise FileNotFoundError(path)
    return readable(path, *arguments, **options)

Path.open = no_proc

import minigen
for module in pkgutil.walk_packages(minigen.__path__, "minigen."):
    if not any(word in module.name for word in ("cuda", "__main__", "torch")):
        importlib.import_module(module.name)

from minigen.cli import main
with tempfile.TemporaryDirectory() as folder:
    events = Path(folder, "events.csv")
    events.write_text("user,item\\n" + "".join(f"{n % 60},{n * n % 25}\\n" for n in range(600)))
    run, figures = str(Path(folder, "run")), str(Path(folder, "figures.json"))
    sets = "--set=hidden=6 --set=latent=3 --set=epochs=2".split()
    for words in (
        ["train", str(events), "--k-core=1", *sets, "--out", run, "--json", figures],
        ["train", run, "--model=ease", "--out", run + "-ease"],
        ["generate", "vae", "--data=ring", "--set=hidden=6", "--set=epochs=1", "--out", run + "-ring"],
    ):
        try:
            main(words)
        except SystemExit as end:
            assert not end.code, (words, end.code)
"""


def test_commands_run_without_what_only_posix_has() -> None:
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
