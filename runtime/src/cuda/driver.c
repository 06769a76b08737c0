/* Opening the CUDA driver and its devices.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As in cuda.h of CUDA 12. */
_Static_assert(sizeof(CUlaunchAttribute) == 72, "CUlaunchAttribute");
_Static_assert(offsetof(CUlaunchAttribute, value) == 8, "CUlaunchAttribute.value");
_Static_assert(sizeof(CUlaunchConfig) == 56, "CUlaunchConfig");
_Static_assert(offsetof(CUlaunchConfig, stream) == 32, "CUlaunchConfig.hStream");
_Static_assert(offsetof(CUlaunchConfig, attributes) == 40, "CUlaunchConfig.attrs");

/* The first whose PTX has all that sm_90a needs. */
enum { oldestVersion = 12000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Written under the mutex while no device is open. */
static moert_cuda_driver theDriver;
static int isOpen;
/* Grows at its head, under the mutex; read without. */
static moert_cuda_device *devices;

static int32_t statusOf(CUresult error) {
  return error == CUDA_ERROR_OUT_OF_MEMORY ? MOERT_OUT_OF_MEMORY : MOERT_DEVICE_ERROR;
}

int32_t moert_cuda_error(const moert_cuda_driver *driver, CUresult error, char *message, size_t capacity, const char *what,
                         ...) {
  const char *name = NULL, *words = NULL;
  driver->cuGetErrorName(error, &name);
  driver->cuGetErrorString(error, &words);
  va_list list;
  va_start(list, what);
  int length = vsnprintf(message, capacity, what, list);
  va_end(list);
  if (length >= 0 && (size_t)length < capacity)
    snprintf(message + length, capacity - (size_t)length, ": %s (%s)", name ? name : "an error without name",
             words ? words : "no description");
  return statusOf(error);
}

/* Functions without a name in the driver make it too old. */
static const char *findFunctions(void *library, moert_cuda_driver *driver) {
  /* ISO C knows no way from an object's pointer to a function's. */
#define FIND(name, symbol, parameters)                                                                                 \
  *(void **)&driver->name = dlsym(library, symbol);                                                                    \
  if (!driver->name)                                                                                                   \
    return symbol;
  MOERT_CUDA_FUNCTIONS(FIND)
#undef FIND
  return NULL;
}

static int32_t openDriver(char *message, size_t capacity) {
  if (isOpen)
    return MOERT_OK;
  const char *named = getenv("MOERT_CUDA_DRIVER");
  const char *path = named && *named ? named : "libcuda.so.1";
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    snprintf(message, capacity, "needs the CUDA driver, found none: %s", reason ? reason : path);
    return MOERT_NOT_FOUND;
  }
  moert_cuda_driver driver = {0};
  const char *missing = findFunctions(library, &driver);
  int32_t status = MOERT_OK;
  CUresult error = CUDA_SUCCESS;
  if (driver.cuDriverGetVersion)
    driver.cuDriverGetVersion(&driver.version);
  if (missing || driver.version < oldestVersion) {
    snprintf(message, capacity, "needs a driver for CUDA %d.%d or later, found %s for CUDA %d.%d%s%s", oldestVersion / 1000,
             oldestVersion % 1000 / 10, path, driver.version / 1000, driver.version % 1000 / 10,
             missing ? " without " : "", missing ? missing : "");
    status = MOERT_INCOMPATIBLE;
  } else if ((error = driver.cuInit(0)) != CUDA_SUCCESS) {
    status = moert_cuda_error(&driver, error, message, capacity, "%s cannot be used: cuInit", path);
  }
  if (status != MOERT_OK) {
    dlclose(library);
    return status;
  }
  theDriver = driver;
  isOpen = 1;
  return MOERT_OK;
}

/* Asks for attributes until one fails. */
static CUresult readAttributes(moert_cuda_device *device) {
  int major = 0, minor = 0;
  struct {
    int attribute;
    int *value;
  } const wanted[] = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &device->maxThreads},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &device->maxSharedBytes},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, &device->maxBlock[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + 1, &device->maxBlock[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + 2, &device->maxBlock[2]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, &device->maxGrid[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + 1, &device->maxGrid[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + 2, &device->maxGrid[2]},
  };
  CUresult error = CUDA_SUCCESS;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted && error == CUDA_SUCCESS; ++i)
    error = device->driver->cuDeviceGetAttribute(wanted[i].value, wanted[i].attribute, device->handle);
  device->capability = major * 10 + minor;
  return error;
}

static moert_cuda_device *findDevice(int32_t index) {
  moert_cuda_device *device = __atomic_load_n(&devices, __ATOMIC_ACQUIRE);
  while (device && device->index != index)
    device = device->next;
  return device;
}

/* Fills in a device but for its place in the list. */
static int32_t retain(int32_t index, moert_cuda_device *device, char *message, size_t capacity) {
  int count = 0;
  CUresult error = theDriver.cuDeviceGetCount(&count);
  if (error == CUDA_SUCCESS && (index < 0 || index >= count)) {
    snprintf(message, capacity, "needs CUDA device %d, found %d device%s", (int)index, count, count == 1 ? "" : "s");
    return MOERT_NOT_FOUND;
  }
  device->driver = &theDriver;
  device->index = index;
  if (error == CUDA_SUCCESS)
    error = theDriver.cuDeviceGet(&device->handle, index);
  if (error == CUDA_SUCCESS)
    error = readAttributes(device);
  if (error == CUDA_SUCCESS)
    error = theDriver.cuDevicePrimaryCtxRetain(&device->context, device->handle);
  if (error != CUDA_SUCCESS)
    return moert_cuda_error(&theDriver, error, message, capacity, "CUDA device %d cannot be used", (int)index);
  return MOERT_OK;
}

static int32_t addDevice(int32_t index, char *message, size_t capacity) {
  int32_t status = openDriver(message, capacity);
  if (status != MOERT_OK)
    return status;
  moert_cuda_device *device = calloc(1, sizeof *device);
  if (!device) {
    snprintf(message, capacity, "out of memory");
    return MOERT_OUT_OF_MEMORY;
  }
  status = retain(index, device, message, capacity);
  if (status != MOERT_OK) {
    free(device);
    return status;
  }
  device->next = devices;
  __atomic_store_n(&devices, device, __ATOMIC_RELEASE);
  return MOERT_OK;
}

int32_t moert_cuda_open_device(int32_t index, const moert_cuda_device **device, char *message, size_t capacity) {
  *device = findDevice(index);
  if (*device)
    return MOERT_OK;
  pthread_mutex_lock(&mutex);
  int32_t status = findDevice(index) ? MOERT_OK : addDevice(index, message, capacity);
  *device = findDevice(index);
  pthread_mutex_unlock(&mutex);
  return status;
}

void moert_cuda_close_devices(void) {
  pthread_mutex_lock(&mutex);
  while (devices) {
    moert_cuda_device *device = devices;
    devices = device->next;
    device->driver->cuDevicePrimaryCtxRelease(device->handle);
    free(device);
  }
  /* It stays in memory: it has threads of its own. */
  isOpen = 0;
  pthread_mutex_unlock(&mutex);
}
