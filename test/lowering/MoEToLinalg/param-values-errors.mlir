// What keeps a param from being evaluated is reported at the param.
// RUN: moe-opt %s --convert-moe-to-linalg="weights=model=splat:0.5 weights=one=splat:1 max-bytes=1000" --split-input-file --verify-diagnostics

// expected-error @below {{'moe.param' op nowhere::key: expected scope 'nowhere' to be bound, found only model, one}}
moe.param @unbound : !moe.weight<1x2xf32> = #moe.external<"nowhere"::"key">
func.func @f() -> !moe.weight<1x2xf32> {
  %0 = moe.leaf @unbound : !moe.weight<1x2xf32>
  return %0 : !moe.weight<1x2xf32>
}

// -----

// A recipe needs it, though no leaf names it.
// expected-error @below {{'moe.param' op nowhere::key: expected scope 'nowhere' to be bound}}
moe.param @of : !moe.weight<1x2xf32, expert[2]> = #moe.external<"nowhere"::"key">
moe.param @t : !moe.table<expert[2] -> cluster[1]> = dense<0> : tensor<2xi32>
moe.param @mean : !moe.weight<1x2xf32, cluster[1]> = #moe.mean<@of by @t>
func.func @f() -> !moe.weight<1x2xf32, cluster[1]> {
  %0 = moe.leaf @mean : !moe.weight<1x2xf32, cluster[1]>
  return %0 : !moe.weight<1x2xf32, cluster[1]>
}

// -----

// expected-error @below {{'moe.param' op model::table: expected}}
moe.param @fractions : !moe.table<expert[2] -> cluster[1]> = #moe.external<"model"::"table">
func.func @f() -> !moe.table<expert[2] -> cluster[1]> {
  %0 = moe.leaf @fractions : !moe.table<expert[2] -> cluster[1]>
  return %0 : !moe.table<expert[2] -> cluster[1]>
}

// -----

// expected-error @below {{'moe.param' op table entry 1 of #moe.external<"one"::"table"> is outside cluster[1]}}
moe.param @outside : !moe.table<expert[2] -> cluster[1]> = #moe.external<"one"::"table">
func.func @f() -> !moe.table<expert[2] -> cluster[1]> {
  %0 = moe.leaf @outside : !moe.table<expert[2] -> cluster[1]>
  return %0 : !moe.table<expert[2] -> cluster[1]>
}

// -----

// N4: formats with scales have no infinity to give back.
// expected-error @below {{'moe.param' op infinite: expected finite values for int8, found inf at [0, 0, 0]}}
moe.param @infinite : !moe.weight<1x2xf32> = dense<[[0x7F800000, 1.0]]> : tensor<1x2xf32> encoding <int8>
func.func @f() -> !moe.weight<1x2xf32> {
  %0 = moe.leaf @infinite : !moe.weight<1x2xf32>
  return %0 : !moe.weight<1x2xf32>
}

// -----

// N4: a scale must fit the type it is stored in.
// expected-error @below {{'moe.param' op steep: expected a scale within f16}}
moe.param @steep : !moe.weight<1x2xf32> = dense<[[1.0e9, 1.0]]> : tensor<1x2xf32> encoding <int8 scale f16>
func.func @f() -> !moe.weight<1x2xf32> {
  %0 = moe.leaf @steep : !moe.weight<1x2xf32>
  return %0 : !moe.weight<1x2xf32>
}

// -----

moe.param @small : !moe.weight<10x20xf32> = #moe.seeded<1>
// expected-error @below {{'moe.param' op takes 400 bytes, 1200 with the params evaluated before; max-bytes is 1000}}
moe.param @more : !moe.weight<10x20xbf16> = #moe.seeded<2>
func.func @f() -> (!moe.weight<10x20xf32>, !moe.weight<10x20xbf16>) {
  %0 = moe.leaf @small : !moe.weight<10x20xf32>
  %1 = moe.leaf @more : !moe.weight<10x20xbf16>
  return %0, %1 : !moe.weight<10x20xf32>, !moe.weight<10x20xbf16>
}

// -----

// Sizes whose product no 64-bit number holds are refused as any other.
// expected-error @below {{'moe.param' op takes 18446744073709551615 bytes}}
moe.param @huge : !moe.weight<2147483647x2147483647xf64, expert[2147483647]> = #moe.seeded<1>
func.func @f() -> !moe.weight<2147483647x2147483647xf64, expert[2147483647]> {
  %0 = moe.leaf @huge : !moe.weight<2147483647x2147483647xf64, expert[2147483647]>
  return %0 : !moe.weight<2147483647x2147483647xf64, expert[2147483647]>
}
