"""Compiled Mixture-of-Experts layers: moec's compiler and runtime, for NumPy; moec.torch and moec.jax for the frameworks.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  moec.compile("checkpoint", "artifact")          # once: runs moe-compile
  artifact = moec.load("artifact", threads=0)     # libmoert.so opens it
  y = artifact.layer("layer0")(x)                 # x, y: [tokens, hidden], float32

docs/python.md says what is converted, what is refused, and where the tools are looked for.
"""

from moec.abi import Error, Status
from moec.artifact import Argument, Artifact, Entry, Layer, load
from moec.compiler import CompileError, compile, plan
from moec.device import Array

__version__ = "0.1.0"
__all__ = ["Argument", "Array", "Artifact", "CompileError", "Entry", "Error", "Layer", "Status", "compile", "load", "plan"]
