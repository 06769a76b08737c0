// RUN: moe-opt %s --moe-export-entries --split-input-file --verify-diagnostics

// expected-error @+1 {{argument 1 'n' is of type 'index': expected a ranked tensor of f64, f32, f16, bf16, i64, i32, i8, i1 or ids}}
func.func @number(%x: tensor<4xf32>, %n: index {moec.name = "n"}) {
  return
}

// -----

// expected-error @+1 {{argument 0 'arg0' is of type 'tensor<4xi16>': expected a ranked tensor of}}
func.func @element(%x: tensor<4xi16>) {
  return
}

// -----

// expected-error @+1 {{argument 0 'arg0' is of type 'tensor<*xf32>': expected a ranked tensor of}}
func.func @unranked(%x: tensor<*xf32>) {
  return
}

// -----

// expected-error @+1 {{argument 0 'arg0' is of type 'memref<4xf32>': expected a ranked tensor of}}
func.func @buffer(%x: memref<4xf32>) {
  return
}

// -----

// expected-error @+1 {{argument 0 'arg0' is of type 'tensor<4xf32, 1 : i32>': expected a ranked tensor of}}
func.func @encoding(%x: tensor<4xf32, 1 : i32>) {
  return
}

// -----

// expected-error @+1 {{argument 0 'arg0' is of type '!moe.weight<4x4xf32>': expected a tensor, which the body views with moe.wrap}}
func.func @weight(%w: !moe.weight<4x4xf32>) {
  return
}

// -----

// expected-error @+1 {{result 0 'result0' is of type '!moe.table<expert[4] -> cluster[2]>': expected a tensor}}
func.func @table() -> !moe.table<expert[4] -> cluster[2]> {
  %0 = moe.leaf @t : !moe.table<expert[4] -> cluster[2]>
  return %0 : !moe.table<expert[4] -> cluster[2]>
}
moe.param private @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>

// -----

// expected-error @+1 {{argument 0 'arg0' has rank 9, expected at most 8}}
func.func @rank(%x: tensor<1x1x1x1x1x1x1x1x1xf32>) {
  return
}

// -----

// The caller cannot know how many elements are above zero.
// expected-error @+1 {{result 0 'result0' has an extent, of dimension 0, that is not one of the arguments' extents: the caller could not allocate it}}
func.func @data_dependent(%x: tensor<4xf32>, %n: tensor<1xi32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %e = tensor.extract %n[%c0] : tensor<1xi32>
  %i = arith.index_cast %e : i32 to index
  %s = tensor.extract_slice %x[0] [%i] [1] : tensor<4xf32> to tensor<?xf32>
  return %s : tensor<?xf32>
}

// -----

// expected-error @+1 {{expected a public function to have a C identifier for a name, found 'a.b'}}
func.func @a.b() {
  return
}

// -----

// expected-error @+1 {{expected a public function whose name does not begin with '_', found '_library_bin'}}
func.func @_library_bin() {
  return
}

// -----

// expected-error @+1 {{the name 'manifest' is taken by the library's own moec_manifest}}
func.func @manifest() {
  return
}

// -----

// expected-error @+1 {{needs the name 'f_workspace' for its workspace query, which another function has}}
func.func @f() {
  return
}
func.func @f_workspace() {
  return
}

// -----

// expected-error @+1 {{argument 1 'x' has a name that another one has}}
func.func @twice(%x: tensor<1xf32> {moec.name = "x"}, %y: tensor<1xf32> {moec.name = "x"}) {
  return
}

// -----

// expected-error @+1 {{argument 0 'a b' has a name of other characters than letters, digits and '_', '.', '-', ':'}}
func.func @characters(%x: tensor<1xf32> {moec.name = "a b"}) {
  return
}

// -----

func.func @recursive(%x: tensor<1xf32>) -> tensor<1xf32> {
  // expected-error @+1 {{calls @recursive, which was not inlined: expected a function with a body that does not call itself}}
  %y = call @recursive(%x) : (tensor<1xf32>) -> tensor<1xf32>
  return %y : tensor<1xf32>
}

// -----

// expected-error @+1 {{expected a body of one block, found 2}}
func.func @blocks() {
  cf.br ^bb1
^bb1:
  return
}

// -----

// expected-error @+1 {{expected at most 64 arguments and results, found 65}}
func.func @many(%0: tensor<1xi8>, %1: tensor<1xi8>, %2: tensor<1xi8>, %3: tensor<1xi8>, %4: tensor<1xi8>, %5: tensor<1xi8>,
    %6: tensor<1xi8>, %7: tensor<1xi8>, %8: tensor<1xi8>, %9: tensor<1xi8>, %10: tensor<1xi8>, %11: tensor<1xi8>,
    %12: tensor<1xi8>, %13: tensor<1xi8>, %14: tensor<1xi8>, %15: tensor<1xi8>, %16: tensor<1xi8>, %17: tensor<1xi8>,
    %18: tensor<1xi8>, %19: tensor<1xi8>, %20: tensor<1xi8>, %21: tensor<1xi8>, %22: tensor<1xi8>, %23: tensor<1xi8>,
    %24: tensor<1xi8>, %25: tensor<1xi8>, %26: tensor<1xi8>, %27: tensor<1xi8>, %28: tensor<1xi8>, %29: tensor<1xi8>,
    %30: tensor<1xi8>, %31: tensor<1xi8>, %32: tensor<1xi8>, %33: tensor<1xi8>, %34: tensor<1xi8>, %35: tensor<1xi8>,
    %36: tensor<1xi8>, %37: tensor<1xi8>, %38: tensor<1xi8>, %39: tensor<1xi8>, %40: tensor<1xi8>, %41: tensor<1xi8>,
    %42: tensor<1xi8>, %43: tensor<1xi8>, %44: tensor<1xi8>, %45: tensor<1xi8>, %46: tensor<1xi8>, %47: tensor<1xi8>,
    %48: tensor<1xi8>, %49: tensor<1xi8>, %50: tensor<1xi8>, %51: tensor<1xi8>, %52: tensor<1xi8>, %53: tensor<1xi8>,
    %54: tensor<1xi8>, %55: tensor<1xi8>, %56: tensor<1xi8>, %57: tensor<1xi8>, %58: tensor<1xi8>, %59: tensor<1xi8>,
    %60: tensor<1xi8>, %61: tensor<1xi8>, %62: tensor<1xi8>, %63: tensor<1xi8>) -> tensor<1xi8> {
  return %0 : tensor<1xi8>
}
