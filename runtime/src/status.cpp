// Names of statuses, and the runtime's own version.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/library.h"

moert_status_t moert_runtime_abi_version(uint32_t *version) {
  if (!version)
    return MOERT_INVALID_ARGUMENT;
  *version = MOERT_ABI_VERSION;
  return MOERT_OK;
}

moert_status_t moert_status_name(int32_t status, const char **name) {
  if (!name)
    return MOERT_INVALID_ARGUMENT;
  switch (status) {
  case MOERT_OK:
    *name = "MOERT_OK";
    break;
  case MOERT_INVALID_ARGUMENT:
    *name = "MOERT_INVALID_ARGUMENT";
    break;
  case MOERT_WORKSPACE_TOO_SMALL:
    *name = "MOERT_WORKSPACE_TOO_SMALL";
    break;
  case MOERT_INCOMPATIBLE:
    *name = "MOERT_INCOMPATIBLE";
    break;
  case MOERT_NOT_FOUND:
    *name = "MOERT_NOT_FOUND";
    break;
  case MOERT_IO_ERROR:
    *name = "MOERT_IO_ERROR";
    break;
  case MOERT_OUT_OF_MEMORY:
    *name = "MOERT_OUT_OF_MEMORY";
    break;
  case MOERT_INTERNAL:
    *name = "MOERT_INTERNAL";
    break;
  case MOERT_DEVICE_ERROR:
    *name = "MOERT_DEVICE_ERROR";
    break;
  case MOERT_UNAVAILABLE:
    *name = "MOERT_UNAVAILABLE";
    break;
  default:
    *name = "unknown status";
    break;
  }
  return MOERT_OK;
}
