// RUN: moe-opt %s --convert-moert-to-llvm --verify-diagnostics

func.func @moec.layer(%c: memref<?x2xi32>) attributes {moec.arguments = []} {
  %every_other = memref.subview %c[0, 0] [4, 1] [1, 1] : memref<?x2xi32> to memref<4x1xi32, strided<[2, 1]>>
  // expected-error @+1 {{'moert.prefetch' op expected numbers one behind the other, found 'memref<4x1xi32, strided<[2, 1]>>'}}
  moert.prefetch %every_other : memref<4x1xi32, strided<[2, 1]>>
  return
}
