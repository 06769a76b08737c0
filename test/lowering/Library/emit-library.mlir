// What is inside a library: the functions of moert/abi.h are visible and nothing else; the C library is needed and
// nothing else; memory is not allocated; the same input gives the same bytes.
// REQUIRES: moe-compile
// RUN: rm -rf %t && mkdir %t
// RUN: moe-compile %s -o %t/first
// RUN: llvm-nm -D --defined-only --format=just-symbols %t/first/library.so | sort | FileCheck %s --check-prefix=DEFINED
// DEFINED: {{^}}moec_abi_version
// DEFINED-NEXT: {{^}}moec_exponential{{$}}
// DEFINED-NEXT: {{^}}moec_exponential_workspace{{$}}
// DEFINED-NEXT: {{^}}moec_manifest
// DEFINED-NEXT: {{^}}moec_nothing{{$}}
// DEFINED-NEXT: {{^}}moec_nothing_workspace{{$}}
// DEFINED-NOT: {{.}}

// RUN: llvm-readelf -d %t/first/library.so | FileCheck %s --check-prefix=NEEDED --implicit-check-not=NEEDED --implicit-check-not=TEXTREL
// NEEDED: (NEEDED) {{.*}}[libm.so
// NEEDED: (NEEDED) {{.*}}[libc.so

// RUN: llvm-nm -D --undefined-only --format=just-symbols %t/first/library.so | FileCheck %s --check-prefix=UNDEFINED --implicit-check-not=alloc --implicit-check-not=hf
// UNDEFINED: expf

// RUN: moe-compile %s -o %t/second
// RUN: cmp %t/first/library.so %t/second/library.so
// RUN: cmp %t/first/manifest.json %t/second/manifest.json

// Any name of a directory will do: commas separate what -Wl passes on.
// RUN: moe-compile %s -o "%t/a,b = c"
// RUN: cmp %t/first/library.so "%t/a,b = c/library.so"

// The manifest is inside too.
// RUN: %python -c "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).moec_manifest; f.restype = ctypes.c_char_p; sys.stdout.buffer.write(f())" %t/first/library.so > %t/inside.json
// RUN: cmp %t/inside.json %t/first/manifest.json

// A second run replaces the two files and leaves others alone; nothing stays behind.
// RUN: touch %t/first/notes
// RUN: moe-compile %s -o %t/first
// RUN: ls %t %t/first | FileCheck %s --check-prefix=FILES
// FILES: first
// FILES-NEXT: inside.json
// FILES-NEXT: second
// FILES-EMPTY:
// FILES-NEXT: first:
// FILES-NEXT: {{^}}library.so
// FILES-NEXT: {{^}}manifest.json
// FILES-NEXT: {{^}}notes

// Every level of optimisation, and the object alone.
// RUN: moe-compile %s -o %t/level0 --opt-level=0 && moe-compile %s -o %t/level1 --opt-level=1 && moe-compile %s -o %t/level3 --opt-level=3
// RUN: llvm-nm -D --defined-only %t/level0/library.so %t/level1/library.so %t/level3/library.so | FileCheck %s --check-prefix=LEVELS
// LEVELS-COUNT-3: moec_exponential{{$}}
// RUN: moe-compile %s -o %t/object.o --emit=object
// RUN: llvm-nm %t/object.o | FileCheck %s --check-prefix=OBJECT
// OBJECT: T moec_exponential
// OBJECT: U moert_entry_call

// Nothing is fused: the rounding of each operation is part of the meaning, on every CPU.
// RUN: moe-compile %s -o %t/haswell.o --emit=object --cpu=x86-64-v3
// RUN: llvm-objdump -d %t/haswell.o | FileCheck %s --check-prefix=HASWELL --implicit-check-not=vfm
// HASWELL: vmulss

func.func @exponential(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  %e = math.exp %x : tensor<?x8xf16>
  %s = arith.addf %e, %x : tensor<?x8xf16>
  %r = arith.mulf %s, %e : tensor<?x8xf16>
  return %r : tensor<?x8xf16>
}
func.func @nothing() {
  return
}
