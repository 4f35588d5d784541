# SPDX-License-Identifier: BSD-3-Clause
"""Builds the engine (src_c) into cbn._engine. All else is in pyproject.toml. CBN_NO_OPENMP=1 builds without OpenMP."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from glob import glob
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPENMP_FLAGS = (["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])
PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class build_engine(build_ext):
    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            raise SystemExit("cbn needs gcc or clang: on Windows build it under MSYS2 or WSL")
        # contraction of a * b + c would make results depend on the processor
        compile_flags, link_flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"], ["-lm"]
        openmp = self.find_openmp()
        if openmp is None:
            print("cbn: building WITHOUT OpenMP: every call uses one thread", file=sys.stderr)
        else:
            compile_flags, link_flags = compile_flags + openmp[0], link_flags + openmp[1]
        for extension in self.extensions:
            extension.extra_compile_args, extension.extra_link_args = compile_flags, link_flags
        self.compiler.compile = partial(self.compile_side_by_side, self.compiler.compile)
        super().build_extensions()

    @staticmethod
    def compile_side_by_side(
        compile_some: Any, sources: list[str], extra_postargs: list[str], **options: Any
    ) -> list[str]:
        def compile_one(source: str) -> list[str]:
            # the boundary has no loops, and takes twice as long to compile with more
            flags = [*extra_postargs, "-O1"] if os.path.basename(source) == "_engine.c" else extra_postargs
            return compile_some([source], extra_postargs=flags, **options)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [found for own in pool.map(compile_one, sources) for found in own]

    def find_openmp(self) -> tuple[list[str], list[str]] | None:
        if os.environ.get("CBN_NO_OPENMP", "0") not in ("", "0"):
            return None
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "probe.c")
            with open(source, "w") as file:
                file.write(PROGRAM)
            for flags in OPENMP_FLAGS:
                command = [self.compiler.compiler[0], source, *flags[0], *flags[1], "-o", os.path.join(folder, "probe")]
                if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                    return flags
        return None


sources = ["cbn/_engine.pyx", *sorted(glob("src_c/*.c")), *sorted(glob("src_c/kernels/*.c"))]
headers = [
    "cbn/_engine.pxd",
    *sorted(glob("cbn/*.pxi")),
    *sorted(glob("src_c/*.h")),
    *sorted(glob("src_c/kernels/*.h")),
]
engine = Extension("cbn._engine", sources, include_dirs=["src_c"], depends=headers)
setup(ext_modules=cythonize([engine], build_dir="build"), cmdclass={"build_ext": build_engine})
