// The name a function would get is another symbol's.
func.func @f() {
  return
}
memref.global @moec.f : memref<1xf32>
