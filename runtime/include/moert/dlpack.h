/* Mirror of the DLPack 1.x tensor view: layout-compatible with dlpack.h, so any host's DLTensor can be passed.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOERT_DLPACK_H
#define MOERT_DLPACK_H

#include <stdint.h>

#ifdef DLPACK_DLPACK_H_
/* The host's own dlpack.h came first, as it has to where both are used: its types are the same. */
#else
#ifdef __cplusplus
extern "C" {
#endif

/** Device kinds that moec knows; the numbers are DLPack's. */
typedef enum { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3 } DLDeviceType;

typedef struct {
  int32_t device_type; /**< a DLDeviceType; kept as int32_t as in DLPack's C ABI */
  int32_t device_id;
} DLDevice;

/** Type codes; the numbers are DLPack's. */
typedef enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLBool = 6 } DLDataTypeCode;

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

/** A strided view. Strides count elements; a null `strides` means compact row-major. */
typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} DLTensor;

#ifdef __cplusplus
}
#endif
#endif /* DLPACK_DLPACK_H_ */
#endif /* MOERT_DLPACK_H */
