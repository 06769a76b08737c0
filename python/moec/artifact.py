"""Opens artifacts and runs their layers on arrays.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import hashlib
import json
import os
import pathlib
import threading
import types
import weakref
from dataclasses import astuple, dataclass, fields
from typing import Any, Mapping, Sequence, Union

import numpy as np

from moec import abi, tensors
from moec.abi import Error, Status
from moec.device import Array, Device, parse
from moec.frame import Frame

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Paging:
    """How bases of clusters come to memory: at most `memory_budget` bytes of them, None for all; docs/residency.md has the others, whose
    None and 0 are the runtime's choice."""

    memory_budget: int | None = None
    eviction: str | None = None
    predictor: str | None = None
    lookahead: int = 0
    idle_steps: int = 0


@dataclass(frozen=True)
class PagingStatistics:
    """What paging did since the weights were loaded: bases that steps asked for (hits, late, misses), reads of them, bytes, seconds."""

    hits: int
    late: int
    misses: int
    reads: int
    reads_ahead: int
    wasted: int
    failures: int
    demoted: int
    bytes_read: int
    resident_bytes: int
    slot_bytes: int
    base_bytes: int
    stall_seconds: float
    read_seconds: float


@dataclass(frozen=True)
class Argument:
    """An input or output: `shape` has extents from 0 on, -1 for one that differs from call to call, and below -1 classes of
    extents that are equal within a call."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {list(self.shape)}"


class Workspace(threading.local):
    """Scratch memory of one thread, for all artifacts: as large as its largest call needed."""

    room: np.ndarray | None = None
    address = 0

    def of(self, size: int) -> tuple[np.ndarray, int]:
        """At least `size` bytes from a multiple of 64 on, and their address; who uses them holds the array."""
        if self.room is None or self.room.size < size:
            whole = np.empty(size + 63, np.uint8)
            start = -whole.ctypes.data % 64
            self.room, self.address = whole[start : start + size], whole.ctypes.data + start
        return self.room, self.address


workspace = Workspace()
# Of how many shapes an entry remembers what workspace they need.
MOST_SHAPES = 256


class Handle:
    """An open moert_model, closed when nothing refers to it any more; layers and entries do."""

    def __init__(self, path: str, threads: int, on: Any, paging: Paging):
        runtime, sink, self.value = abi.runtime(), abi.Sink(), ctypes.c_void_p()
        names = [name.encode() if name is not None else None for name in (paging.eviction, paging.predictor)]
        options = abi.ModelOptions(
            ctypes.sizeof(abi.ModelOptions),
            paging.lookahead,
            paging.memory_budget or 0,
            *names,
            paging.idle_steps,
            None if on is None else ctypes.pointer(parse(on)),
        )
        sink.check(runtime.moert_model_open_with(os.fsencode(path), options, sink.record, self.value))
        weakref.finalize(self, runtime.moert_model_close, self.value).atexit = False
        if threads != 1:
            sink.check(runtime.moert_model_set_threads(self.value, threads, sink.record))


def text_of(function, *handles) -> str:
    """What a function that hands out a text hands out."""
    text = ctypes.c_char_p()
    abi.Sink().check(function(*handles, ctypes.byref(text)))
    return (text.value or b"").decode()


class Entry:
    """A compiled function. `name`; `inputs` and `outputs`, each a tuple of Argument; `device`, where they are."""

    _call, _workspace_bytes = "moert_library_call", "moert_library_workspace_bytes"

    def __init__(self, on: Device, own: ctypes.c_void_p, entry: ctypes.c_void_p, name: str):
        self._runtime, self.device, self._own, self.name = abi.runtime(), on, own, name
        self._function, self._query = getattr(self._runtime, self._call), getattr(self._runtime, self._workspace_bytes)
        count = ctypes.c_int32()
        abi.Sink().check(self._runtime.moert_library_argument_count(entry, count))
        found: dict[int, list[Argument]] = {abi.INPUT: [], abi.OUTPUT: [], abi.BINDING: []}
        for index in range(count.value):
            record = ctypes.POINTER(abi.ArgumentRecord)()
            abi.Sink().check(self._runtime.moert_library_argument(entry, index, record))
            what = record.contents
            dtype = tensors.NAMES[what.code, what.bits]
            found[what.role].append(Argument(what.name.decode(), dtype, tuple(what.shape[: what.rank])))
        self.inputs, self.outputs = tuple(found[abi.INPUT]), tuple(found[abi.OUTPUT])
        results: Any = collections.namedtuple("Outputs", [a.name for a in self.outputs], rename=True)  # type: ignore[misc]
        self._results = results
        self._frames: list[Frame] = []  # those that no call uses
        self._sizes: dict[tuple, int] = {}

    def __repr__(self) -> str:
        takes, gives = "; ".join(map(str, self.inputs)), "; ".join(map(str, self.outputs))
        return f"<moec {type(self).__name__} {self.name}({takes}) -> {gives}>"

    def __call__(self, *inputs: Any, out: Any = None, stream: int | None = None) -> Any:
        """Runs it on arrays, in the order of `inputs`; x of a model's layer is float32 [tokens, hidden].

        Inputs are NumPy arrays, or arrays of other libraries in the CPU's memory that have __dlpack__ or
        __array_interface__; their memory is read in place, with their strides. Lists and numbers are converted to the type
        that is wanted, arrays never: one of another type is refused. bfloat16 is taken from arrays of that type
        (ml_dtypes, PyTorch) and from uint16 arrays of its bits, and given as the latter.

        `out` is what to write into, in place of new arrays: an array, or a tuple of them for several outputs.

        Of an artifact on a CUDA device, arguments are arrays on that device with __dlpack__ (Artifact.array makes some of
        its own), and new outputs are moec.Array. With `stream`, the address of a CUstream of the device (0: the legacy
        default stream), the call is put into it, and arguments must live until the stream has come so far; without,
        outputs are written when the call returns.

        Returns the output, a NumPy array, or a named tuple of them if there are several. Raises Error with the runtime's
        message for a wrong type, shape or device, and TypeError for a wrong number of arguments."""
        if len(inputs) != len(self.inputs):
            raise TypeError(
                f"{self.name} takes {len(self.inputs)} inputs ({', '.join(a.name for a in self.inputs)}), {len(inputs)} given"
            )
        if self.device.kind != abi.CPU:
            place = tensors.Place(self.device.kind, self.device.number, self.device.stream if stream is None else stream)
            views = [tensors.on_device(value, a.name, place) for value, a in zip(inputs, self.inputs)]
        elif stream is not None:
            raise Error(Status.INVALID_ARGUMENT, f"{self.name} runs on the CPU, expected no stream, found {stream}")
        else:
            views = [tensors.of_input(value, a.dtype, a.name) for value, a in zip(inputs, self.inputs)]
        results: Sequence[Any]
        if out is None:
            results = self._new_outputs(views)
        else:
            results = out if isinstance(out, (tuple, list)) else (out,)
            if len(results) != len(self.outputs):
                raise TypeError(
                    f"{self.name} has {len(self.outputs)} outputs ({', '.join(a.name for a in self.outputs)}), {len(results)} given"
                )
        if self.device.kind != abi.CPU:
            views += [tensors.on_device(value, a.name, place, writes=True) for value, a in zip(results, self.outputs)]
            self.run(views, place.stream, functools.partial(self.device.workspace, place.stream))
            if stream is None:
                self.device.synchronize()
        else:
            views += [tensors.of_output(value, a.dtype, a.name) for value, a in zip(results, self.outputs)]
            self.run(views)
        return self._results(*results) if len(results) != 1 else results[0]

    def _new_outputs(self, views: Sequence[tensors.View]) -> list:
        """Arrays of the shapes that the inputs imply; what they leave open, the runtime's check of the inputs explains."""
        extents: dict[int, int] = {}
        for view, argument in zip(views, self.inputs):
            extents.update(
                (wanted, extent) for wanted, extent in zip(argument.shape, view.shape) if wanted < abi.DYNAMIC
            )
        for argument in self.outputs:
            if abi.DYNAMIC in argument.shape:
                raise Error(
                    Status.INVALID_ARGUMENT, f"output '{argument}' has an extent that no input gives: pass out="
                )
        shapes = [tuple([extents.get(n, max(n, 0)) for n in a.shape]) for a in self.outputs]
        if self.device.kind != abi.CPU:
            return [Array(self.device, shape, a.dtype) for shape, a in zip(shapes, self.outputs)]
        return [np.empty(shape, tensors.ELEMENTS[a.dtype][2]) for shape, a in zip(shapes, self.outputs)]

    def run(self, views: Sequence[tensors.View], stream: int = 0, rooms: Any = None) -> None:
        """Runs it on views of inputs, then outputs; Error with the runtime's message. Of a device that is not the CPU, `stream`
        is what the call is put into, and rooms(size) gives its workspace there: what holds it, and its address."""
        try:
            frame = self._frames.pop()
        except IndexError:  # the first call, or others are under way
            frame = Frame(len(self.inputs) + len(self.outputs), (self.device.kind, self.device.number))
        frame.fill(views)
        shapes = tuple([view.shape for view in views])
        size = self._sizes.get(shapes)
        if size is None:
            size = self._ask_workspace(frame, shapes)
        call = frame.call
        if rooms is None:
            room, call.workspace = workspace.of(size)
            call.workspace_bytes = room.size
        else:
            room, call.workspace = rooms(size)
            call.stream, call.workspace_bytes = stream, size
        status = self._function(self._own, call, frame.arguments, len(views))
        if status:
            frame.sink.check(status)
        # One that has a message is let go.
        self._frames.append(frame)

    def _ask_workspace(self, frame: Frame, shapes: tuple) -> int:
        """Bytes that a call of these shapes needs: it depends on nothing else."""
        status = self._query(self._own, frame.call, frame.arguments, len(shapes), frame.bytes_needed)
        frame.sink.check(status)
        if len(self._sizes) >= MOST_SHAPES:
            self._sizes.clear()
        self._sizes[shapes] = size = frame.bytes_needed.value
        return size


class Layer(Entry):
    """A compiled function, `entry`, with the weights of one layer of a model."""

    _call, _workspace_bytes = "moert_layer_call", "moert_layer_workspace_bytes"

    def __init__(self, on: Device, own: ctypes.c_void_p, entry: ctypes.c_void_p, name: str):
        super().__init__(on, own, entry, name)
        self.entry = text_of(self._runtime.moert_library_entry_name, entry)

    @functools.cached_property
    def binding(self) -> ctypes.c_void_p:
        """The address of the layer's moert_layer_binding, for who calls the entry itself, such as tvm-ffi. It stays as it is
        while the layer is referred to."""
        found = ctypes.c_void_p()
        abi.Sink().check(self._runtime.moert_layer_acquire(self._own, found))
        weakref.finalize(self, self._runtime.moert_layer_release, self._own, found).atexit = False
        return found

    @property
    def resident_bytes(self) -> int:
        """Bytes of memory that the layer's weights and tables take."""
        found = ctypes.c_uint64()
        abi.Sink().check(self._runtime.moert_layer_resident_bytes(self._own, found))
        return found.value


class Artifact:
    """An open artifact: `path`, `threads`, `device`, `paging`, `layers` and `entries` by name, `source`, what its weights were made from.

    Any number of threads may use it. It closes when nothing refers to it or its layers. Pickles and copies open the same
    path again, or are the same object."""

    def __init__(self, path: Path, threads: int = 1, device: Any = None, paging: Paging = Paging()):
        runtime = abi.runtime()
        self.path, self.threads, self.paging = pathlib.Path(path), threads, paging
        self._model = Handle(os.fspath(path), threads, device, paging)
        handle, library, count = self._model.value, ctypes.c_void_p(), ctypes.c_int32()
        sink, own = abi.Sink(), ctypes.c_void_p()
        sink.check(runtime.moert_model_device(handle, own))
        self.device = Device(self._model, own)
        sink.check(runtime.moert_model_library(handle, library))
        self.manifest: dict = json.loads(text_of(runtime.moert_library_manifest, library))
        self.source = text_of(lambda text: runtime.moert_model_source(handle, text, ctypes.c_char_p()))

        sink.check(runtime.moert_model_layer_count(handle, count))
        layers = {}
        for index in range(count.value):
            layer, entry = ctypes.c_void_p(), ctypes.c_void_p()
            sink.check(runtime.moert_model_layer_at(handle, index, layer))
            sink.check(runtime.moert_layer_entry(layer, entry))
            name = text_of(runtime.moert_layer_name, layer)
            layers[name] = Layer(self.device, layer, entry, name)
        sink.check(runtime.moert_library_entry_count(library, count))
        entries = {}
        for index in range(count.value):
            entry = ctypes.c_void_p()
            sink.check(runtime.moert_library_entry_at(library, index, entry))
            name = text_of(runtime.moert_library_entry_name, entry)
            entries[name] = Entry(self.device, entry, entry, name)
        self._library = library
        self.layers: Mapping[str, Layer] = types.MappingProxyType(layers)
        self.entries: Mapping[str, Entry] = types.MappingProxyType(entries)

    def layer(self, name: str) -> Layer:
        """The layer of that name; Error (NOT_FOUND), which names those there are."""
        if name not in self.layers:
            sink = abi.Sink()
            sink.check(
                abi.runtime().moert_model_find_layer(self._model.value, name.encode(), sink.record, ctypes.c_void_p())
            )
        return self.layers[name]

    def entry(self, name: str) -> Entry:
        """The entry of that name, for artifacts without layers; Error (NOT_FOUND), which names those there are."""
        if name not in self.entries:
            sink = abi.Sink()
            sink.check(
                abi.runtime().moert_library_find_entry(self._library, name.encode(), sink.record, ctypes.c_void_p())
            )
        return self.entries[name]

    def array(self, values: Any, dtype: str | None = None) -> Array:
        """A copy of a NumPy array on the artifact's device, for who has no framework there; with dtype="bfloat16", of uint16."""
        return Array.of(self.device, values, dtype)

    @property
    def paging_statistics(self) -> PagingStatistics:
        """What paging did so far; all 0 without a memory budget."""
        found = abi.PagingStatistics(ctypes.sizeof(abi.PagingStatistics))
        abi.Sink().check(abi.runtime().moert_model_paging_statistics(self._model.value, found))
        return PagingStatistics(**{field.name: getattr(found, field.name) for field in fields(PagingStatistics)})

    def begin_request(self) -> None:
        """Says that calls from now on are of another sequence, or batch: the predictor "past_request" goes by it."""
        abi.Sink().check(abi.runtime().moert_model_begin_request(self._model.value))

    @functools.cached_property
    def identity(self) -> str:
        """A hash of code and weights, 32 digits: artifacts of one identity compute the same."""
        library = self.path / "library.so" if self.path.is_dir() else self.path
        digest = hashlib.sha256(library.read_bytes())
        if self.layers:
            # An archive's header has a hash of each of its records.
            with open(self.path / self.manifest["weights"]["file"], "rb") as file:
                size = file.read(8)
                digest.update(size + file.read(int.from_bytes(size, "little")))
        return digest.hexdigest()[:32]

    def __repr__(self) -> str:
        return f"<moec Artifact {self.path}: {self.source or 'no checkpoint'}, {len(self.layers)} layers, {len(self.entries)} entries>"

    def __reduce__(self):
        return load, (os.fspath(self.path.absolute()), self.threads, str(self.device), *astuple(self.paging))

    def __copy__(self) -> Artifact:
        return self

    def __deepcopy__(self, memo: dict) -> Artifact:
        return self


def load(
    path: Path,
    threads: int = 1,
    device: Any = None,
    memory_budget: int | None = None,
    eviction: str | None = None,
    predictor: str | None = None,
    lookahead: int = 0,
    idle_steps: int = 0,
) -> Artifact:
    """Opens an artifact directory and the weights in it, or a library alone.

    `threads` share the parallel loops of a call: 0 is one for each CPU, 1 none but the caller's. Results do not depend on it.
    `device` is where weights go and layers run, "cpu" or "cuda:0", or a torch.device; without it the first of the kind that the
    artifact was compiled for. `memory_budget` is how many bytes of bases of clusters are kept in memory, of an artifact compiled with
    page_bases=True; the others are read when a layer needs them, as `eviction`, `predictor`, `lookahead` (layers) and `idle_steps` say
    (docs/residency.md). Opening runs code from the artifact: open what you trust. Raises Error with the runtime's message (NOT_FOUND,
    INVALID_ARGUMENT, INCOMPATIBLE, IO_ERROR, of devices DEVICE_ERROR)."""
    return Artifact(path, threads, device, Paging(memory_budget, eviction, predictor, lookahead, idle_steps))
