/* Memory and time of the device that a model runs on: the CPU, or a CUDA device by its driver alone.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * For hosts that have no tensors of their own; one that has passes its own memory and stream in moert_call. Every function
 * returns a moert_status_t; a null handle or out-parameter is MOERT_INVALID_ARGUMENT, `error` may be null. A device is used by
 * one thread at a time. */
#ifndef MOERT_DEVICE_H
#define MOERT_DEVICE_H

#include "moert/library.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A device that was opened. */
typedef struct moert_device moert_device;

/** Opens a device: kDLCPU (its number is not looked at), or kDLCUDA and its number. Of a CUDA device the primary context is
 * retained. MOERT_NOT_FOUND without driver or device, MOERT_INCOMPATIBLE where the driver is too old. */
MOERT_API moert_status_t moert_device_open(DLDevice device, const moert_error_sink *error, moert_device **opened);

/** Closes the device; its stream is gone. Null is allowed. Memory must have been freed and no work be under way. */
MOERT_API moert_status_t moert_device_close(moert_device *device);

/** Which one it is, for DLTensor.device. */
MOERT_API moert_status_t moert_device_identity(const moert_device *device, DLDevice *identity);

/** What it is, for people: "CPU", "NVIDIA H200, sm_90, driver of CUDA 12.4". Owned by the device. */
MOERT_API moert_status_t moert_device_description(const moert_device *device, const char **text);

/** A stream of the device, for moert_call.stream; null of the CPU. Owned by the device. */
MOERT_API moert_status_t moert_device_stream(const moert_device *device, void **stream);

/** Memory of the device, aligned for tensors and workspaces; null for 0 bytes. Its contents are not defined. */
MOERT_API moert_status_t moert_device_allocate(moert_device *device, uint64_t bytes, const moert_error_sink *error,
                                               void **memory);

/** Gives memory back. Null is allowed. */
MOERT_API moert_status_t moert_device_free(moert_device *device, void *memory);

/** Copies from the host's memory into the device's; done when it returns, behind all work of the device's stream. */
MOERT_API moert_status_t moert_device_write(moert_device *device, void *to, const void *from, uint64_t bytes,
                                            const moert_error_sink *error);

/** Copies from the device's memory into the host's; done when it returns, behind all work of the device's stream. */
MOERT_API moert_status_t moert_device_read(moert_device *device, void *to, const void *from, uint64_t bytes,
                                           const moert_error_sink *error);

/** Waits for all work of the device's stream; says what of it failed. */
MOERT_API moert_status_t moert_device_synchronize(moert_device *device, const moert_error_sink *error);

/** Begins to measure time in the device's stream. */
MOERT_API moert_status_t moert_device_start_timer(moert_device *device, const moert_error_sink *error);

/** Waits for the work since the timer was started, and says how long it took, by the device's own clock. */
MOERT_API moert_status_t moert_device_stop_timer(moert_device *device, const moert_error_sink *error, double *seconds);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_DEVICE_H */
