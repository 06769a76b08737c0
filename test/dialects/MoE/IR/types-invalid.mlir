// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints T1 to T3.

// expected-error @below {{T1: matrix sizes must be positive i32, found 0x4}}
func.func private @f(!moe.weight<0x4xf32>)

// -----

// expected-error @below {{T1: matrix sizes must be positive i32, found 4x2147483648}}
func.func private @f(!moe.weight<4x2147483648xf32>)

// -----

// expected-error @below {{T1: expected IN x OUT, found 3 extents}}
func.func private @f(!moe.weight<4x4x4xf32>)

// -----

// expected-error @below {{T1: expected IN x OUT, found 0 extents}}
func.func private @f(!moe.weight<f32>)

// -----

// expected-error @below {{expected static shape}}
func.func private @f(!moe.weight<?x4xf32>)

// -----

// expected-error @below {{T1: element type is the type of computation, one of f64, f32, f16, bf16; found 'i8'}}
func.func private @f(!moe.weight<4x4xi8>)

// -----

// A narrow type is an encoding, not a type of computation.
// expected-error @below {{T1: element type is the type of computation, one of f64, f32, f16, bf16; found 'f8E4M3FN'}}
func.func private @f(!moe.weight<4x4xf8E4M3FN>)

// -----

// expected-error @below {{T1: number of entries must be a positive i32, found 0}}
func.func private @f(!moe.weight<4x4xf32, expert[0]>)

// -----

// expected-error @below {{T1: number of entries must be a positive i32, found -3}}
func.func private @f(!moe.weight<4x4xf32, expert[-3]>)

// -----

// expected-error @below {{T1: number of entries must be a positive i32, found 9223372036854775807}}
func.func private @f(!moe.weight<4x4xf32, expert[9223372036854775807]>)

// -----

// expected-error @below {{integer value too large}}
func.func private @f(!moe.weight<4x4xf32, expert[9223372036854775808]>)

// -----

// expected-error @below {{expected cluster, expert or basis, found 'token'}}
func.func private @f(!moe.weight<4x4xf32, token[2]>)

// -----

// The axis of a weight without one has no name.
// expected-error @below {{expected cluster, expert or basis, found 'none'}}
func.func private @f(!moe.weight<4x4xf32, none[1]>)

// -----

// Only ids count special experts.
// expected-error @below {{expected ']'}}
func.func private @f(!moe.weight<4x4xf32, expert[8+1]>)

// -----

// expected-error @below {{T1: table sizes must be positive i32, found 0 and 2}}
func.func private @f(!moe.table<expert[0] -> cluster[2]>)

// -----

// expected-error @below {{T1: table sizes must be positive i32, found 2 and 4294967296}}
func.func private @f(!moe.table<expert[2] -> cluster[4294967296]>)

// -----

// expected-error @below {{T2: a table connects clusters and experts, found basis}}
func.func private @f(!moe.table<expert[2] -> basis[2]>)

// -----

// expected-error @below {{T2: a table connects clusters and experts, found basis}}
func.func private @f(!moe.table<basis[2] -> expert[2]>)

// -----

// expected-error @below {{T3: an id counts at least one entry and fits i32, found 0+1}}
func.func private @f(!moe.id<expert[0+1]>)

// -----

// expected-error @below {{T3: an id counts at least one entry and fits i32, found 4+-1}}
func.func private @f(!moe.id<expert[4+-1]>)

// -----

// Each count fits, the sum does not.
// expected-error @below {{T3: an id counts at least one entry and fits i32, found 2147483647+1}}
func.func private @f(!moe.id<expert[2147483647+1]>)

// -----

// expected-error @below {{T3: an id counts at least one entry and fits i32, found 9223372036854775807+9223372036854775807}}
func.func private @f(!moe.id<expert[9223372036854775807+9223372036854775807]>)

// -----

// expected-error @below {{T3: ids name clusters or experts, found basis}}
func.func private @f(!moe.id<basis[4]>)

// -----

// expected-error @below {{T3: only experts have special ones}}
func.func private @f(!moe.id<cluster[4+1]>)

// -----

// Weights are symbolic: never in a buffer.
// expected-error @below {{invalid memref element type}}
func.func private @f(memref<2x!moe.weight<4x4xf32>>)
