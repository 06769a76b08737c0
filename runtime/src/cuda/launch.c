/* Device code of a library on CUDA devices: loaded once for each, launched in the caller's stream.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * A call allocates, loads and waits for nothing once its device's kernels are loaded, so it can be captured into a graph. */
#include "launch.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than this a kernel gets only when it was asked for in advance. */
enum { sharedBytesOfAll = 48 * 1024, logBytes = 2048 };
/* The first driver that captures programmatic dependents into graphs. */
enum { dependentsVersion = 12030 };

/* The kernels of one variant on one device. */
typedef struct moert_cuda_loaded {
  struct moert_cuda_loaded *next; /* of the same variant, on another device */
  struct moert_cuda_loaded *nextOfAll;
  void **state;               /* where the list of this variant begins */
  const moert_cuda_device *device;
  CUmodule module;
  CUfunction functions[];
} Loaded;

typedef moert_cuda_run Run;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* What moec_release_devices unloads; under the mutex. */
static Loaded *all;

int32_t moert_cuda_fail(const moert_cuda_run *run, int32_t status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(run->message, run->capacity, format, list);
  va_end(list);
  return status;
}

/* ---- loading ---- */

static const Loaded *find(const Run *run) {
  const Loaded *loaded = __atomic_load_n((Loaded **)run->variant->device->state, __ATOMIC_ACQUIRE);
  while (loaded && loaded->device != run->device)
    loaded = loaded->next;
  return loaded;
}

/* The first image that the driver takes. */
static int32_t loadModule(const Run *run, CUmodule *module) {
  const moert_device_code *code = run->variant->device;
  const moert_cuda_driver *driver = run->device->driver;
  int32_t status = moert_cuda_fail(run, MOERT_INTERNAL, "the entry table is damaged: no device code for %s", run->variant->name);
  for (int32_t i = 0; i < code->image_count && status != MOERT_OK; ++i) {
    char log[logBytes] = "";
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    CUresult error = driver->cuModuleLoadDataEx(module, code->images[i].image, 2, options, values);
    log[sizeof log - 1] = '\0';
    if (error == CUDA_SUCCESS)
      return MOERT_OK;
    status = moert_cuda_error(driver, error, run->message, run->capacity,
                              "the driver, of CUDA %d.%d, does not take the %s of %s for device %d", driver->version / 1000,
                              driver->version % 1000 / 10, code->images[i].name, run->variant->name, (int)run->device->index);
    size_t length = strlen(run->message);
    if (*log)
      snprintf(run->message + length, run->capacity - length, ": %s", log);
    if (error == CUDA_ERROR_OUT_OF_MEMORY)
      return status;
    status = MOERT_INCOMPATIBLE;
  }
  return status;
}

/* The kernels of a module, with leave for the shared memory they take. */
static int32_t findFunctions(const Run *run, Loaded *loaded) {
  const moert_device_code *code = run->variant->device;
  const moert_cuda_device *device = run->device;
  for (int32_t i = 0; i < code->kernel_count; ++i) {
    const char *name = code->kernel_names[i];
    uint32_t bytes = code->shared_bytes[i];
    if (bytes > (uint32_t)device->maxSharedBytes)
      return moert_cuda_fail(run, MOERT_INCOMPATIBLE, "kernel '%s' needs %u bytes of shared memory, device %d has at most %d", name, bytes,
                  (int)device->index, (int)device->maxSharedBytes);
    CUresult error = device->driver->cuModuleGetFunction(&loaded->functions[i], loaded->module, name);
    if (error == CUDA_SUCCESS && bytes > sharedBytesOfAll)
      error = device->driver->cuFuncSetAttribute(loaded->functions[i], CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                 (int)bytes);
    if (error != CUDA_SUCCESS)
      return moert_cuda_error(device->driver, error, run->message, run->capacity,
                              "kernel '%s' with %u bytes of shared memory cannot be loaded", name, bytes);
  }
  return MOERT_OK;
}

/* Under the mutex. */
static int32_t load(const Run *run) {
  const moert_device_code *code = run->variant->device;
  const moert_cuda_driver *driver = run->device->driver;
  int capture = CU_STREAM_CAPTURE_STATUS_NONE;
  CUresult error = driver->cuStreamIsCapturing(run->stream, &capture);
  if (error != CUDA_SUCCESS)
    return moert_cuda_error(driver, error, run->message, run->capacity, "kernels cannot be loaded for device %d now",
                            (int)run->device->index);
  if (capture != CU_STREAM_CAPTURE_STATUS_NONE)
    return moert_cuda_fail(run, MOERT_INVALID_ARGUMENT,
                "got a stream that is being captured, expected a call on device %d before: the first one loads its kernels",
                (int)run->device->index);
  Loaded *loaded = calloc(1, sizeof *loaded + (size_t)code->kernel_count * sizeof *loaded->functions);
  if (!loaded)
    return moert_cuda_fail(run, MOERT_OUT_OF_MEMORY, "out of memory");
  loaded->device = run->device;
  loaded->state = code->state;
  int32_t status = loadModule(run, &loaded->module);
  if (status == MOERT_OK) {
    status = findFunctions(run, loaded);
    if (status != MOERT_OK)
      driver->cuModuleUnload(loaded->module);
  }
  if (status != MOERT_OK) {
    free(loaded);
    return status;
  }
  loaded->nextOfAll = all;
  all = loaded;
  loaded->next = *code->state;
  __atomic_store_n((Loaded **)code->state, loaded, __ATOMIC_RELEASE);
  return MOERT_OK;
}

static int32_t ensureLoaded(Run *run) {
  run->loaded = find(run);
  if (run->loaded)
    return MOERT_OK;
  pthread_mutex_lock(&mutex);
  int32_t status = find(run) ? MOERT_OK : load(run);
  run->loaded = find(run);
  pthread_mutex_unlock(&mutex);
  return status;
}

/* Exported: unloads all kernels and gives the devices back. No call may be in progress; later ones load again. */
__attribute__((visibility("default"))) void moec_release_devices(void);
void moec_release_devices(void) {
  pthread_mutex_lock(&mutex);
  while (all) {
    Loaded *loaded = all;
    const moert_cuda_driver *driver = loaded->device->driver;
    all = loaded->nextOfAll;
    *loaded->state = NULL;
    if (driver->cuCtxPushCurrent(loaded->device->context) == CUDA_SUCCESS) {
      CUcontext popped;
      driver->cuModuleUnload(loaded->module);
      driver->cuCtxPopCurrent(&popped);
    }
    free(loaded);
  }
  pthread_mutex_unlock(&mutex);
  moert_cuda_close_devices();
}

/* ---- a call ---- */

/* The null stream is of the current context, which is the device's. */
static int32_t checkStream(const Run *run) {
  const moert_cuda_driver *driver = run->device->driver;
  CUcontext context = run->device->context;
  CUdevice found = -1;
  CUresult error = run->stream ? driver->cuStreamGetCtx(run->stream, &context) : CUDA_SUCCESS;
  if (error != CUDA_SUCCESS)
    return moert_cuda_error(driver, error, run->message, run->capacity, "got a stream that the driver does not know");
  if (context == run->device->context)
    return MOERT_OK;
  if (driver->cuCtxPushCurrent(context) == CUDA_SUCCESS) {
    CUcontext popped;
    driver->cuCtxGetDevice(&found);
    driver->cuCtxPopCurrent(&popped);
  }
  return moert_cuda_fail(run, MOERT_INVALID_ARGUMENT, "got a stream of %s device %d, expected one of device %d, where the arguments are",
              found == run->device->handle ? "another context than the primary one of" : "CUDA", (int)found,
              (int)run->device->index);
}

static int32_t checkWorkspace(const Run *run, const moert_call *call) {
  const moert_cuda_driver *driver = run->device->driver;
  CUdeviceptr address = (CUdeviceptr)(uintptr_t)call->workspace;
  uint32_t type = 0;
  int ordinal = -1;
  if (call->workspace_bytes == 0 || !address)
    return MOERT_OK;
  if (driver->cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) != CUDA_SUCCESS ||
      type != CU_MEMORYTYPE_DEVICE)
    return moert_cuda_fail(run, MOERT_INVALID_ARGUMENT, "got a workspace in host memory, expected memory of CUDA device %d",
                (int)run->device->index);
  if (driver->cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address) != CUDA_SUCCESS ||
      ordinal != run->device->index)
    return moert_cuda_fail(run, MOERT_INVALID_ARGUMENT, "got a workspace on CUDA device %d, expected device %d", ordinal,
                (int)run->device->index);
  return MOERT_OK;
}

static int32_t capabilityOf(int32_t index, int32_t *capability, char *message, size_t capacity) {
  const moert_cuda_device *device = NULL;
  int32_t status = moert_cuda_open_device(index, &device, message, capacity);
  if (status == MOERT_OK)
    *capability = device->capability;
  return status;
}

static int32_t call(const moert_variant *variant, int32_t index, const moert_call *call, void **descriptors, void **context,
                    char *message, size_t capacity) {
  Run run = {variant, NULL, NULL, call->stream, MOERT_OK, message, capacity};
  run.status = moert_cuda_open_device(index, &run.device, message, capacity);
  if (run.status != MOERT_OK)
    return run.status;
  const moert_cuda_driver *driver = run.device->driver;
  CUresult error = driver->cuCtxPushCurrent(run.device->context);
  if (error != CUDA_SUCCESS)
    return moert_cuda_error(driver, error, message, capacity, "device %d cannot be used", (int)index);
  run.status = checkStream(&run);
  if (run.status == MOERT_OK)
    run.status = checkWorkspace(&run, call);
  if (run.status == MOERT_OK)
    run.status = ensureLoaded(&run);
  if (run.status == MOERT_OK) {
    *context = &run;
    variant->kernel(descriptors);
  }
  CUcontext popped;
  driver->cuCtxPopCurrent(&popped);
  return run.status;
}

const moert_device_runtime moert_cuda_runtime = {sizeof(moert_device_runtime), kDLCUDA, "CUDA", capabilityOf, call};

/* ---- a launch ---- */

static const char *nameOf(const Run *run, int32_t kernel) { return run->variant->device->kernel_names[kernel]; }

/* Whether three extents, none of them 0, are within a device's. */
static bool areWithin(Run *run, int32_t kernel, const char *what, const int64_t found[3], const int32_t most[3]) {
  for (int i = 0; i < 3; ++i)
    if (found[i] < 0 || found[i] > most[i]) {
      run->status = moert_cuda_fail(run, MOERT_INVALID_ARGUMENT,
                         "kernel '%s' needs a %s of %lld, %lld, %lld, device %d has at most %d, %d, %d", nameOf(run, kernel), what,
                         (long long)found[0], (long long)found[1], (long long)found[2], (int)run->device->index, (int)most[0],
                         (int)most[1], (int)most[2]);
      return false;
    }
  return true;
}

static bool isLaunchable(Run *run, int32_t kernel, const int64_t grid[3], const int64_t block[3], int64_t sharedBytes) {
  const moert_device_code *code = run->variant->device;
  if (kernel < 0 || kernel >= code->kernel_count) {
    run->status = moert_cuda_fail(run, MOERT_INTERNAL, "the compiled code asks for kernel %d of %d", (int)kernel, (int)code->kernel_count);
    return false;
  }
  if (!areWithin(run, kernel, "grid", grid, run->device->maxGrid) ||
      !areWithin(run, kernel, "block", block, run->device->maxBlock))
    return false;
  if (block[0] * block[1] * block[2] > run->device->maxThreads) {
    run->status = moert_cuda_fail(run, MOERT_INCOMPATIBLE, "kernel '%s' needs %lld threads in a block, device %d has at most %d",
                       nameOf(run, kernel), (long long)(block[0] * block[1] * block[2]), (int)run->device->index,
                       (int)run->device->maxThreads);
    return false;
  }
  if (sharedBytes < 0 || sharedBytes > code->shared_bytes[kernel]) {
    run->status = moert_cuda_fail(run, MOERT_INTERNAL, "kernel '%s' is launched with %lld bytes of shared memory, its table says at most %u",
                       nameOf(run, kernel), (long long)sharedBytes, code->shared_bytes[kernel]);
    return false;
  }
  return true;
}

/* What the table says of a kernel, as the driver takes it; returns how many. */
static uint32_t describe(const Run *run, int32_t kernel, CUlaunchAttribute to[2]) {
  const moert_kernel_attributes *table = run->variant->device->attributes;
  const moert_kernel_attributes *from = table ? &table[kernel] : NULL;
  uint32_t count = 0;
  if (from && from->cluster[0] > 0) {
    to[count].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    memcpy(to[count++].value.clusterDim, from->cluster, sizeof from->cluster);
  }
  /* Without it a kernel's griddepcontrol.wait has nothing to wait for. */
  if (from && from->is_dependent && run->device->driver->version >= dependentsVersion) {
    to[count].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    to[count++].value.isAllowed = 1;
  }
  return count;
}

void moert_cuda_launch(void *context, int32_t kernel, int64_t grid_x, int64_t grid_y, int64_t grid_z, int64_t block_x,
                       int64_t block_y, int64_t block_z, int64_t shared_bytes, void **arguments) {
  Run *run = context;
  const int64_t grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
  if (run->status != MOERT_OK || grid_x == 0 || grid_y == 0 || grid_z == 0 ||
      !isLaunchable(run, kernel, grid, block, shared_bytes))
    return;
  CUlaunchAttribute attributes[2];
  memset(attributes, 0, sizeof attributes);
  CUlaunchConfig config = {{(uint32_t)grid_x, (uint32_t)grid_y, (uint32_t)grid_z},
                           {(uint32_t)block_x, (uint32_t)block_y, (uint32_t)block_z},
                           (uint32_t)shared_bytes,
                           run->stream,
                           attributes,
                           describe(run, kernel, attributes)};
  const moert_cuda_driver *driver = run->device->driver;
  CUresult error = driver->cuLaunchKernelEx(&config, run->loaded->functions[kernel], arguments, NULL);
  if (error != CUDA_SUCCESS)
    run->status = moert_cuda_error(driver, error, run->message, run->capacity,
                                   "kernel '%s' could not be launched, or one before it failed", nameOf(run, kernel));
}
