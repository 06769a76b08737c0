/* Tensor maps: how the tensor memory accelerator of a device sees a strided view.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "launch.h"

/* What the accelerator takes. */
enum { mostRank = 5, alignment = 16 };

/* The driver's number of an element type, or -1. */
static int typeOf(int32_t code, int32_t bits) {
  return bits == 8                        ? CU_TENSOR_MAP_DATA_TYPE_UINT8
         : code == kDLFloat && bits == 16  ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
         : code == kDLBfloat && bits == 16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
         : code == kDLFloat && bits == 32  ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
         : code == kDLInt && bits == 32    ? CU_TENSOR_MAP_DATA_TYPE_INT32
                                           : -1;
}

static int swizzleOf(int32_t bytes) {
  return bytes == 0     ? CU_TENSOR_MAP_SWIZZLE_NONE
         : bytes == 32  ? CU_TENSOR_MAP_SWIZZLE_32B
         : bytes == 64  ? CU_TENSOR_MAP_SWIZZLE_64B
         : bytes == 128 ? CU_TENSOR_MAP_SWIZZLE_128B
                        : -1;
}

void moert_cuda_tensor_map(void *context, void *map, int32_t code, int32_t bits, int32_t rank, void *address,
                           const int64_t *extents, const int64_t *strides, const int64_t *box, int32_t swizzle_bytes) {
  moert_cuda_run *run = context;
  int type = typeOf(code, bits), swizzle = swizzleOf(swizzle_bytes);
  if (run->status != MOERT_OK)
    return;
  if (type < 0 || swizzle < 0 || rank < 1 || rank > mostRank || strides[rank - 1] != 1) {
    run->status = moert_cuda_fail(run, MOERT_INTERNAL,
                                  "the compiled code asks for a tensor map of type code %d with %d bits, rank %d and swizzle %d", (int)code,
                                  (int)bits, (int)rank, (int)swizzle_bytes);
    return;
  }
  if ((uintptr_t)address % alignment != 0) {
    run->status = moert_cuda_fail(run, MOERT_INVALID_ARGUMENT, "got a tensor at %#llx, its copies need alignment to %d bytes",
                                  (unsigned long long)(uintptr_t)address, alignment);
    return;
  }
  /* The driver counts from the innermost dimension on, and bytes, of all but the innermost. */
  uint64_t sizes[mostRank], pitches[mostRank];
  uint32_t boxes[mostRank], steps[mostRank];
  for (int32_t d = 0; d < rank; ++d) {
    int32_t from = rank - 1 - d;
    if (extents[from] == 0)
      return;
    sizes[d] = (uint64_t)extents[from];
    boxes[d] = (uint32_t)box[from];
    steps[d] = 1;
    if (d == 0)
      continue;
    pitches[d - 1] = (uint64_t)strides[from] * (uint64_t)(bits / 8);
    if (pitches[d - 1] % alignment != 0) {
      run->status = moert_cuda_fail(run, MOERT_INVALID_ARGUMENT,
                                    "got a tensor with stride[%d] = %lld, its copies need a multiple of %d elements", (int)from,
                                    (long long)strides[from], alignment * 8 / (int)bits);
      return;
    }
  }
  const moert_cuda_driver *driver = run->device->driver;
  CUresult error = driver->cuTensorMapEncodeTiled(map, type, (uint32_t)rank, address, sizes, pitches, boxes, steps, 0, swizzle,
                                                  CU_TENSOR_MAP_L2_PROMOTION_L2_128B, 0);
  if (error != CUDA_SUCCESS)
    run->status = moert_cuda_error(driver, error, run->message, run->capacity,
                                   "the tensor map of rank %d, extent %lld and box %u (of the innermost dimension) cannot be made", (int)rank,
                                   (long long)sizes[0], boxes[0]);
}
