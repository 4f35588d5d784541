# SPDX-License-Identifier: BSD-3-Clause
"""Builds the engine (src_c) into cbn._engine. All else is in pyproject.toml. CBN_NO_OPENMP=1 builds without OpenMP."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPENMP_FLAGS = (["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])
PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"

# Contraction of a * b + c would make results depend on the processor; nobody asks for floating-point exceptions or errno, and
# without them loops with a condition become vectors; Python's own flags ask for debugging information, a quarter of the time
# and most of the module's size.
FLAGS = ["-std=c11", "-O3", "-g0", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno", "-fvisibility=hidden"]

# Files that take less than -O3: they have few loops, or loops that few processors run, and were measured to be as fast.
LEVELS = {"_engine.c": "-Og", "generic.c": "-O2", "causal.c": "-O2", "particles.c": "-O2", "tied_grow.c": "-O2"}


def side_by_side(compile_some):
    """A compiler's method that compiles every file in a process of its own."""

    def compile_all(sources, *, extra_postargs, **options):
        def compile_one(source):
            own = [level for end, level in LEVELS.items() if source.endswith(end)]
            return compile_some([source], extra_postargs=[*extra_postargs, *own], **options)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [compiled for own in pool.map(compile_one, sources) for compiled in own]

    return compile_all


class build_engine(build_ext):
    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            raise SystemExit("cbn needs gcc or clang: on Windows build it under MSYS2 or WSL")
        compiled, linked = self.find_openmp()
        self.extensions[0].extra_compile_args = [*FLAGS, *compiled]
        self.extensions[0].extra_link_args = ["-lm", *linked]
        self.compiler.compile = side_by_side(self.compiler.compile)
        super().build_extensions()

    def find_openmp(self) -> tuple[list[str], list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(PROGRAM)
            for flags in OPENMP_FLAGS if os.environ.get("CBN_NO_OPENMP", "0") in ("", "0") else ():
                command = [self.compiler.compiler[0], source, *flags[0], *flags[1], "-o", source.with_suffix("")]
                if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                    return flags
        print("cbn: building WITHOUT OpenMP: every call uses one thread", file=sys.stderr)
        return [], []


sources = ["cbn/_engine.pyx", *sorted(glob("src_c/*.c")), *sorted(glob("src_c/kernels/*.c"))]
headers = [path for kind in ("cbn/*.pxd", "cbn/*.pxi", "src_c/*.h", "src_c/kernels/*.h") for path in sorted(glob(kind))]
engine = Extension("cbn._engine", sources, include_dirs=["src_c"], depends=headers)
setup(ext_modules=cythonize([engine], build_dir="build"), cmdclass={"build_ext": build_engine})
